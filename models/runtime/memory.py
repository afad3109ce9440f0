"""Memory that nobody uses any more goes back to the operating system."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable
from functools import cache
from typing import Any

from numpy.typing import NDArray

_WORTH_IT = 2**20  # bytes
_MADV_DONTNEED = getattr(mmap, "MADV_DONTNEED", None)  # not on every system


def give_back() -> None:
    """Hand back what is free, where the C library would keep it: glibc does, in pieces between what is still in use."""
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another library, or another system
        return None
    return found


def empty(array: NDArray[Any]) -> None:
    """Hand the pages of an array back that is about to be freed; what it held is gone.

    Python frees an array with its lock held, and the system takes a tenth of a second to take half a gigabyte back, in
    which nobody else is answered. This call does not hold the lock, and little is left for the freeing.

    Args:
        array: of memory that nothing else looks at any more.
    """
    advise = _madvise()
    if advise is None or array.nbytes < _WORTH_IT or not array.flags.c_contiguous:
        return
    first = -(-array.ctypes.data // mmap.PAGESIZE) * mmap.PAGESIZE
    last = (array.ctypes.data + array.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE
    advise(first, last - first, _MADV_DONTNEED)


@cache
def _madvise() -> Callable[[int, int, int | None], int] | None:
    if _MADV_DONTNEED is None:
        return None
    try:
        found = ctypes.CDLL(None).madvise
    except (AttributeError, OSError, TypeError):
        return None
    found.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    return found
