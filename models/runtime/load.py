"""Run an exported model: ONNX on ONNX Runtime, or TorchScript where torch is installed.

Both kinds answer the same two questions: what are the logits of these images, and what do these layers look like.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from contextlib import nullcontext
from functools import cache
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort

from models.cards.card import ModelCard
from models.onnx import native
from models.onnx.external_data import refers_to_files
from models.onnx.graph import keep_only, needed_nodes
from scs.errors import DeviceError, MissingPackageError, ModelError

if TYPE_CHECKING:
    import torch

Device = Literal["cpu", "cuda"]
Images = npt.NDArray[np.uint8]  # (N, H, W, C)
Array = npt.NDArray[np.float32]

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
# Unless told otherwise, the runtime rounds what it multiplies on CUDA to TF32, three decimal digits, and times every
# algorithm there is on each new size and number of pictures, while somebody waits.
_PROVIDER_OPTIONS: dict[Device, dict[str, str]] = {
    "cpu": {},
    "cuda": {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"},
}
_ONNX_ERRORS_ONLY = 3
# The runtime keeps the memory of its largest run. For dense maps of a photograph that is most of a gigabyte a model, so
# it is handed back after pictures above this size; below it, keeping it is faster.
_PIXELS_WORTH_KEEPING_MEMORY_FOR = 2**18
_SMALL_S = 0.002  # a picture that takes longer on one thread gets all of them
# Two runs at once on all cores would share them and need twice the memory: one after the other is as fast.
_all_cores = threading.Lock()
_MOST_CONCURRENT = 3  # more runs of small pictures at once than one event loop can feed


class RunnableModel(Protocol):
    """A loaded model that is ready to run and thread-safe."""

    device: Device
    concurrent_runs: int  # how many runs at once keep the cores busy without waiting for each other
    kernels: native.Kernels | None  # that run its SCS layers; None where it has no such layers, or no choice

    def logits(self, images: Images) -> Array:
        """Return the logits ``(N, classes)`` of images ``(N, H, W, C)``."""
        ...

    def layers(self, images: Images, names: Sequence[str]) -> dict[str, Array]:
        """Return the logits, under the name ``logits``, and the feature maps ``(N, K, H', W')`` of the layers named."""
        ...


def load_model(content: bytes, card: ModelCard, device: Device) -> RunnableModel:
    """Load a model from the bytes of its file.

    Args:
        content: the file, its SHA-256 already checked.
        card: its card.
        device: where it shall run.

    Returns:
        A model whose ``logits(images)`` are ``(N, classes)``, and whose ``layers(images, names)`` are also the maps of
        its layers by their names on the card; images are ``(N, H, W, C)``, uint8.

    Raises:
        ModelError: the file is broken, or does not have what its card promises.
        DeviceError: the device is not there.
        MissingPackageError: a TorchScript model where torch is not installed.

    Example:
        >>> from models.cards.catalogue import bundled_repository, find
        >>> entry = find(bundled_repository(), "mnist-scs")
        >>> model = load_model(entry.verified_bytes(), entry.card(), "cpu")
        >>> model.logits(np.zeros((1, 28, 28, 1), np.uint8)).shape
        (1, 10)
    """
    return OnnxModel(content, card, device) if card.format == "onnx" else TorchScriptModel(content, card, device)


def choose_device(wish: Literal["auto", "cpu", "cuda"]) -> Device:
    """Choose the device that models run on: CUDA where it works and the CPU was not asked for, else the CPU.

    Raises:
        DeviceError: CUDA was asked for and does not work; the message says what is missing.
    """
    if wish == "cpu":
        return "cpu"
    obstacle = cuda_obstacle()
    if obstacle is None:
        return "cuda"
    if wish == "cuda":
        raise DeviceError(f"SCS_DEVICE=cuda needs a working CUDA device, but {obstacle}")
    return "cpu"


@cache
def cuda_obstacle() -> str | None:
    """Return why models cannot run on CUDA here, or None where a small test graph ran on it."""
    if _PROVIDERS["cuda"] not in ort.get_available_providers():
        return "this ONNX Runtime is built without it: install scs-serve[gpu] in place of scs-serve[cpu]"
    if hasattr(ort, "preload_dlls"):
        ort.preload_dlls()  # CUDA and cuDNN from their wheels
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
        return f"a test on it failed: {_first_line(error)}"
    return None


class OnnxModel:
    """An ONNX model: fused ONNX Runtime sessions for logits, and one session that keeps every feature map.

    On the CPU there are two for logits: one thread is best for a small picture, because waking others takes longer than
    the run, and leaves the other cores to other requests; for a large one all cores are.
    """

    def __init__(self, content: bytes, card: ModelCard, device: Device) -> None:
        self.device = device
        self.kernels: native.Kernels | None = None
        self._tensors = {layer.name: layer.tensor for layer in card.layers}
        # What a bank's sums in float64 take is handed back after every picture, however small.
        self._keeps_memory = card.bank is None
        try:
            graph = onnx.load_from_string(content)
            if refers_to_files(graph):
                raise ModelError(f"{card.name} needs to be one file; it refers to others")
            self.kernels = _choose_kernels(graph, device)
            lean = self._prepared(_without_unused(graph))
            self._narrow = self._session(lean, threads=1, keeps_memory=self._keeps_memory)
            self._wide = self._session(lean, keeps_memory=self._keeps_memory) if device == "cpu" else self._narrow
            opened = self._prepared(_with_outputs(graph, list(self._tensors.values())))
            self._open = self._session(opened, keeps_memory=False)
            _check_interface(self._narrow, card)
            blank = np.zeros((1, card.input.height, card.input.width, card.input.channels), np.uint8)
            self._small_pixels = blank[..., 0].size * _SMALL_S / self._seconds(blank)
        except (ModelError, DeviceError):
            raise
        except Exception as error:  # onnx and the runtime each raise classes of their own for a broken file
            raise ModelError(f"{card.name} {card.version} could not be loaded: {_first_line(error)}") from None
        self.concurrent_runs = 1
        if device == "cpu" and blank[..., 0].size <= self._small_pixels:
            self.concurrent_runs = min(_MOST_CONCURRENT, usable_cores())

    def logits(self, images: Images) -> Array:
        """Return the logits ``(N, classes)`` of images ``(N, H, W, C)``."""
        is_small = images[0, ..., 0].size <= self._small_pixels
        options = ort.RunOptions()
        if self._keeps_memory and self.device == "cpu" and images[..., 0].size > _PIXELS_WORTH_KEEPING_MEMORY_FOR:
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        with nullcontext() if is_small else _all_cores:
            session = self._narrow if is_small else self._wide
            (logits,) = session.run(["logits"], {"image": images}, options)
        return logits  # type: ignore[no-any-return]

    def _prepared(self, graph: onnx.ModelProto) -> bytes:
        prepared: bytes = (native.joined(graph) if self.kernels == "native" else graph).SerializeToString()
        return prepared

    def _session(
        self, content: bytes, *, threads: int | None = None, keeps_memory: bool = True
    ) -> ort.InferenceSession:
        is_native = self.kernels == "native"
        return open_session(content, self.device, threads=threads, keeps_memory=keeps_memory, is_native=is_native)

    def _seconds(self, images: Images) -> float:
        """Time a run on one thread in seconds: the fastest of three, since the first also allocates memory."""
        times = []
        for _ in range(3):
            started = time.perf_counter()
            self._narrow.run(["logits"], {"image": images})
            times.append(time.perf_counter() - started)
        return min(times)

    def layers(self, images: Images, names: Sequence[str]) -> dict[str, Array]:
        """Return the logits, under the name ``logits``, and the feature maps ``(N, K, H', W')`` of the layers named."""
        wanted = ["logits", *(self._tensors[name] for name in names)]
        with _all_cores:
            values = self._open.run(wanted, {"image": images})
        return dict(zip(["logits", *names], values, strict=True))


class TorchScriptModel:
    """A TorchScript model: ``forward`` gives the logits, ``layers`` a dictionary of those and every feature map."""

    def __init__(self, content: bytes, card: ModelCard, device: Device) -> None:
        try:
            import io

            import torch
        except ImportError:
            raise MissingPackageError(
                f"{card.name} {card.version} is TorchScript and needs torch, which is not installed: "
                "pip install 'scs-serve[train]'"
            ) from None
        if device == "cuda" and not torch.cuda.is_available():
            raise DeviceError(f"{card.name} {card.version} needs a torch that sees CUDA; this one does not")
        self.device = device
        self.concurrent_runs = 1
        self.kernels: native.Kernels | None = None
        try:
            self._module = torch.jit.load(io.BytesIO(content), map_location=device)
        except RuntimeError as error:
            raise ModelError(f"{card.name} {card.version} could not be loaded: {_first_line(error)}") from None

    def logits(self, images: Images) -> Array:
        """Return the logits ``(N, classes)`` of images ``(N, H, W, C)``."""
        import torch

        with torch.inference_mode():
            return _to_numpy(self._module(torch.from_numpy(_writable(images)).to(self.device)))

    def layers(self, images: Images, names: Sequence[str]) -> dict[str, Array]:
        """Return the logits, under the name ``logits``, and the feature maps ``(N, K, H', W')`` of the layers named."""
        import torch

        with torch.inference_mode():
            maps = self._module.layers(torch.from_numpy(_writable(images)).to(self.device))
            return {name: _to_numpy(maps[name]) for name in ["logits", *names]}


def _choose_kernels(graph: onnx.ModelProto, device: Device) -> native.Kernels | None:
    if not native.calls_op(graph):
        return None
    return "native" if device == "cpu" and native.available() else "portable"


def open_session(
    content: bytes,
    device: Device,
    *,
    threads: int | None = None,
    keeps_memory: bool = True,
    is_native: bool = False,
) -> ort.InferenceSession:
    """Open an ONNX Runtime session that runs every node on one device, without fallback to another.

    Args:
        content: a model file.
        device: where every node shall run.
        threads: of one run on the CPU; None is every core.
        keeps_memory: whether the CPU's memory of the largest run is kept for the next.
        is_native: whether the native kernels run the nodes that they know.

    Raises:
        DeviceError: the device is not there.
    """
    if _PROVIDERS[device] not in ort.get_available_providers():
        raise DeviceError(f"{_PROVIDERS[device]} was asked for; this ONNX Runtime has none")
    options = ort.SessionOptions()
    options.enable_cpu_mem_arena = keeps_memory
    options.log_severity_level = _ONNX_ERRORS_ONLY
    options.intra_op_num_threads = threads or usable_cores()
    if is_native:
        native.register(options)
    if device == "cuda":
        # Fail rather than let the runtime leave a node, and two copies of its tensors, to the CPU.
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    providers = [(_PROVIDERS[device], _PROVIDER_OPTIONS[device])]
    # A run that fails says why, instead of being tried again on the CPU, for good.
    session = ort.InferenceSession(content, options, providers=providers, enable_fallback=0)
    if session.get_providers()[0] != _PROVIDERS[device]:
        raise DeviceError(f"{_PROVIDERS[device]} was asked for; {session.get_providers()[0]} came")
    return session


def _without_unused(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model without nodes that no output needs, which the runtime would run (dead-code elimination)."""
    needed = needed_nodes(model.graph)
    if len(needed) == len(model.graph.node):
        return model
    lean = onnx.ModelProto()
    lean.CopyFrom(model)
    keep_only(lean.graph, needed)
    return lean


def _with_outputs(graph: onnx.ModelProto, tensors: list[str]) -> onnx.ModelProto:
    made = {name for node in graph.graph.node for name in node.output}
    for tensor in tensors:
        if tensor not in made:
            raise ModelError(f"the card names a layer's tensor '{tensor}' that the graph does not have")
        graph.graph.output.append(onnx.ValueInfoProto(name=tensor))
    return graph


def _check_interface(session: ort.InferenceSession, card: ModelCard) -> None:
    takes = [(i.name, i.type, i.shape[-1]) for i in session.get_inputs()]
    needed = [("image", "tensor(uint8)", card.input.channels)]
    if takes != needed:
        raise ModelError(f"{card.name} {card.version} needs the input {needed[0]}; it has {takes}")
    gives = [(o.name, o.shape[-1]) for o in session.get_outputs()]
    if gives != [("logits", len(card.labels))]:
        raise ModelError(
            f"{card.name} {card.version} needs the output logits of {len(card.labels)} classes; it has {gives}"
        )


def _writable(images: Images) -> Images:
    """Return the images, copied where they are read-only, such as a view of ``bytes``: torch needs writable arrays."""
    return np.require(images, requirements="W")


def _to_numpy(tensor: torch.Tensor) -> Array:
    return tensor.cpu().numpy()


def usable_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
