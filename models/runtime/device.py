"""Where models run: the choice of a device, and sessions of ONNX Runtime on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Literal

import numpy as np
import onnx
import onnxruntime as ort

from models.onnx import native
from scs.cores import usable_cores
from scs.errors import DeviceError

__all__ = [
    "Device",
    "choose_device",
    "cuda_obstacle",
    "first_line",
    "is_built_for_cuda",
    "open_session",
    "usable_cores",
]

Device = Literal["cpu", "cuda"]

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
# Unless told otherwise, the runtime rounds what it multiplies on CUDA to TF32, three decimal digits, and times every
# algorithm there is on each new size and number of pictures, while somebody waits.
_PROVIDER_OPTIONS: dict[Device, dict[str, str]] = {
    "cpu": {},
    "cuda": {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"},
}
_ONNX_FATAL_ONLY = 4  # an error is raised too, and is nothing to log where sizes are tried out
_MOST_NAMED = 8  # operations in a sentence


def choose_device(wish: Literal["auto", "cpu", "cuda"], obstacle_of: Callable[[], str | None] | None = None) -> Device:
    """Decide where models run: on CUDA where it really works and was not ruled out, else on the CPU.

    Args:
        wish: what was asked for.
        obstacle_of: says what keeps models from running on CUDA; :func:`cuda_obstacle` unless given.

    Raises:
        DeviceError: CUDA was asked for and does not work; the message says what is missing.
    """
    if wish == "cpu":
        return "cpu"
    obstacle = (obstacle_of or cuda_obstacle)()
    if obstacle is None:
        return "cuda"
    if wish == "cuda":
        raise DeviceError(f"SCS_DEVICE=cuda needs a working CUDA device, but {obstacle}")
    return "cpu"


def is_built_for_cuda() -> bool:
    """Return whether this ONNX Runtime has a CUDA part, whether or not that can be loaded here."""
    return _PROVIDERS["cuda"] in ort.get_available_providers()


@cache
def cuda_obstacle() -> str | None:
    """What keeps models from running on CUDA here, or None where a small graph really ran there."""
    if not is_built_for_cuda():
        return "this ONNX Runtime is built without it: install scs-serve[gpu] in place of scs-serve[cpu]"
    _preload_cuda()
    probe = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["": 20]> probe (float[1] x) => (float[1] y) { y = Exp (x) }'
    )
    content = probe.SerializeToString()
    try:
        # Where the provider does not load, the runtime takes it off the list; a session that refuses the CPU would say
        # no more than that its nodes are there.
        loaded = ort.InferenceSession(content, providers=[_PROVIDERS["cuda"]], enable_fallback=0).get_providers()
        if _PROVIDERS["cuda"] not in loaded:
            return "ONNX Runtime could not load its CUDA part; what it printed above this names the library or driver"
        session = open_session(content, "cuda")
        session.run(None, {"x": np.zeros(1, np.float32)})
    except Exception as error:  # the runtime raises a class of its own for each cause
        return f"a test on it failed: {first_line(error)}"
    return None


def open_session(
    content: bytes,
    device: Device,
    *,
    threads: int | None = None,
    keeps_memory: bool = True,
    is_native: bool = False,
) -> ort.InferenceSession:
    """Open a session of ONNX Runtime on a device.

    On CUDA the runtime may leave nodes to the CPU that it has no kernels for, and copies their tensors there and back;
    :func:`nodes_by_provider` counts them. The session does not keep ``content``.

    Args:
        content: an ONNX file.
        device: where it runs.
        threads: of a run on the CPU; all usable cores unless told.
        keeps_memory: whether the memory of the largest run is kept for the next.
        is_native: whether the file needs the native kernels.

    Raises:
        DeviceError: this ONNX Runtime has no such device, or would run nothing of the file there.
    """
    if _PROVIDERS[device] not in ort.get_available_providers():
        raise DeviceError(f"{_PROVIDERS[device]} was asked for; this ONNX Runtime has none")
    if device == "cuda":
        _preload_cuda()
    options = ort.SessionOptions()
    options.enable_cpu_mem_arena = keeps_memory
    options.log_severity_level = _ONNX_FATAL_ONLY
    options.intra_op_num_threads = threads or usable_cores()
    if is_native:
        native.register(options)
    if device == "cuda":
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    providers = [(_PROVIDERS[device], _PROVIDER_OPTIONS[device])]
    # A run that fails says why, instead of being tried again on the CPU, for good.
    session = ort.InferenceSession(content, options, providers=providers, enable_fallback=0)
    if session.get_providers()[0] != _PROVIDERS[device]:
        raise DeviceError(f"{_PROVIDERS[device]} was asked for; {session.get_providers()[0]} came")
    # What is kept for a second try on other devices, which is ruled out above, is a copy of all weights.
    session._model_bytes = None
    if device == "cuda" and not nodes_by_provider(session).get(_PROVIDERS[device]):
        raise DeviceError(f"{_PROVIDERS[device]} has no kernel for any node of this file")
    return session


@cache
def _preload_cuda() -> None:
    """Load CUDA and cuDNN from their wheels, where there are such."""
    if hasattr(ort, "preload_dlls"):
        ort.preload_dlls()


def nodes_by_provider(session: ort.InferenceSession) -> dict[str, Counter[str]]:
    """Count the nodes that a session on CUDA runs on each device.

    Returns:
        By provider, ``CUDAExecutionProvider`` say, how many nodes of each operation it runs.
    """
    counts: dict[str, Counter[str]] = {}
    for part in session.get_provider_graph_assignment_info():
        counts.setdefault(part.ep_name, Counter()).update(node.op_type for node in part.get_nodes())
    return counts


def left_to_cpu(session: ort.InferenceSession) -> str | None:
    """Say in words how many nodes of a session on CUDA run on the CPU, and which; None where all run on CUDA."""
    counts = nodes_by_provider(session)
    left = counts.get(_PROVIDERS["cpu"])
    if not left:
        return None
    total = sum(count.total() for count in counts.values())
    listed = ", ".join(f"{count} {name}" for name, count in left.most_common(_MOST_NAMED))
    more = ", and others" if len(left) > _MOST_NAMED else ""
    return f"{left.total()} of {total} nodes run on the CPU: {listed}{more}"


def first_line(error: Exception) -> str:
    """The first line of a runtime's error, whose message may have many; its class where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
