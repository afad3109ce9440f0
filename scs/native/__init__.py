"""Loops in C++ for the CPU, in a shared library that is optional: ``make native`` builds it.

``kernels.cpp`` has the loops, ``elementary.h`` the logarithm and the power that they share, ``ops.cpp`` makes custom
ops of ONNX Runtime of them, and ``library.cpp`` takes what the processor can run. Where the library was not built, or
does not load, everything runs without it, more slowly.
"""

from __future__ import annotations

import ctypes
import logging
from functools import cache
from pathlib import Path

_log = logging.getLogger(__name__)

LIBRARY = Path(__file__).parent / "libscs.so"
INTERFACE = 1  # of the library that this package calls; the same number is in library.cpp


@cache
def library() -> ctypes.CDLL | None:
    """The library, or None where there is none that can be used; one that is there and cannot is logged, in a line."""
    return load(LIBRARY)


def load(path: Path) -> ctypes.CDLL | None:
    """Load a library that :mod:`scs.native.build` made; see :func:`library`."""
    if not path.exists():
        return None
    try:
        loaded = ctypes.CDLL(str(path))
        interface = loaded.scs_interface()
    except (OSError, AttributeError) as error:
        _log.warning("the native kernels cannot be used: %s", str(error).splitlines()[0])
        return None
    if interface != INTERFACE:
        _log.warning(
            "the native kernels cannot be used: interface %d is needed, %d came; `make native` builds them anew",
            INTERFACE,
            interface,
        )
        return None
    loaded.scs_instruction_set.restype = ctypes.c_char_p
    return loaded


def instruction_set(loaded: ctypes.CDLL) -> str:
    """What the loops were compiled for that run here: ``x86_64_v4``, ``x86_64_v3`` or ``baseline``."""
    name: bytes = loaded.scs_instruction_set()
    return name.decode()


def takes_layers(loaded: ctypes.CDLL) -> bool:
    """Whether ONNX Runtime is given whole layers to run, and not only what follows its own convolution."""
    return bool(loaded.scs_takes_layers())
