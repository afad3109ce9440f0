"""Run the SCS layers of an ONNX model by the native kernels, where these were built: ``make native`` builds them.

``build.py`` makes one shared library of the loops in :mod:`scs.native` and of ``ops.cpp``, which hands them to ONNX
Runtime by the names of the functions of :mod:`models.onnx.op`. Before that, ``joining.py`` fuses into a layer what
follows it in the graph. Where the library was not built, or does not load, everything runs without it, more slowly.
"""

from __future__ import annotations

import ctypes
import logging
from functools import cache
from pathlib import Path
from typing import Literal

import onnx
import onnxruntime as ort

from models.onnx.native.joining import join_layers
from models.onnx.op import DOMAIN
from scs.native import instruction_set, load

_log = logging.getLogger(__name__)

LIBRARY = Path(__file__).parent / "libscs.so"

Kernels = Literal["native", "portable"]


@cache
def library() -> ctypes.CDLL | None:
    """Load the native library, or return None where it was not built or, with a warning in the log, cannot be used."""
    return load(LIBRARY)


def takes_layers(loaded: ctypes.CDLL) -> bool:
    """Return whether the native kernels run whole SCS layers, not only what follows ONNX Runtime's convolution."""
    return bool(loaded.scs_takes_layers())


@cache
def available() -> bool:
    """Return whether ONNX Runtime accepts the native library, with a warning in the log where it rejects it."""
    if library() is None:
        return False
    try:
        register(ort.SessionOptions())
    except Exception as error:  # the runtime raises a class of its own for each cause
        _log.warning("the native kernels cannot be used: %s", (str(error).splitlines() or ["?"])[0][:200])
        return False
    return True


def register(options: ort.SessionOptions) -> None:
    """Register the native kernels with the options of CPU sessions, only once for each options object."""
    options.register_custom_ops_library(str(LIBRARY))


def calls_op(graph: onnx.ModelProto) -> bool:
    """Return whether a model has nodes that the native kernels could run."""
    return any(node.domain == DOMAIN for node in graph.graph.node)


def described() -> str:
    """Describe which kernels run SCS layers on the CPU here, for the log."""
    loaded = library()
    if not available() or loaded is None:
        return "portable; `make native` builds faster ones" if not LIBRARY.exists() else "portable"
    return f"native, {instruction_set(loaded)}"


def joined(model: onnx.ModelProto) -> onnx.ModelProto:
    """Copy a model with what follows each SCS layer fused into the layer, for a session with the native kernels.

    Tensors that are outputs of the model stay, with their names and values.
    """
    loaded = library()
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    if loaded is not None and takes_layers(loaded):
        join_layers(copied.graph)
    return copied
