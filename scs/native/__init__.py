"""Loops of sharpened cosine similarity in C++ for the CPU, and the loading of the library that holds them.

``kernels.cpp`` has the loops: ``plan.h`` cuts a layer up, ``patches.h`` packs what it reads, ``products.h`` multiplies,
``sharpening.h`` makes similarities of products, with the logarithm and the power of ``elementary.h``. ``library.cpp``
takes what the processor can run. The library is optional. :mod:`models.onnx.native` builds it, ops of ONNX Runtime
included, and gives it to sessions.
"""

from __future__ import annotations

import ctypes
import logging
from pathlib import Path

_log = logging.getLogger(__name__)

INTERFACE = 1  # of the library that this package calls; the same number is in library.cpp


def load(path: Path) -> ctypes.CDLL | None:
    """Load the shared library of these loops; return None where it is missing or, with a warning, unusable."""
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
    """Return the instruction set of the loops that run on this CPU: ``x86_64_v4``, ``x86_64_v3`` or ``baseline``."""
    name: bytes = loaded.scs_instruction_set()
    return name.decode()
