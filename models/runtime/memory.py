"""Functions that return unused memory to the operating system, without blocking other threads.

A training wants the opposite: :mod:`models.training.allocator` keeps what it frees.
"""

from __future__ import annotations

import ctypes
import mmap
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

_WORTH_IT = 2**20  # bytes
_MADV_DONTNEED = getattr(mmap, "MADV_DONTNEED", None)  # not on every system
_MAPS = Path("/proc/self/maps")
_CODE_OF_FILES = re.compile(r"^(\w+)-(\w+) r-xp \S+ \S+ \S+ +/", re.MULTILINE)  # never written to, unlike data


def trim_heap() -> None:
    """Return the free memory of the heap to the operating system (``malloc_trim``).

    glibc keeps it where it lies between pieces that are still in use. With another C library, nothing is done.
    """
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


def release(array: NDArray[Any]) -> None:
    """Return the memory pages of an array that is about to be freed (``madvise``); its values are lost.

    Freeing it alone would do the same with the interpreter's lock held, a tenth of a second for half a gigabyte. This
    call does not hold the lock, and little is left for the freeing. Arrays of less than 1 MiB, arrays that are not
    contiguous, and systems without ``madvise`` are left to the freeing.

    Args:
        array: the only one that looks at its memory; its values are lost.
    """
    advise = _madvise()
    if advise is None or array.nbytes < _WORTH_IT or not array.flags.c_contiguous:
        return
    first = -(-array.ctypes.data // mmap.PAGESIZE) * mmap.PAGESIZE
    last = (array.ctypes.data + array.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE
    advise(first, last - first, _MADV_DONTNEED)


def release_code() -> None:
    """Return the memory pages that hold code of programs and libraries to the operating system (``madvise``).

    What runs again is mapped again, from the system's cache of files or from the file. It is worth it in a process that
    has made much ready and does little from now on; children that it forks get none of these pages from it anyway. On
    systems other than Linux nothing is done.
    """
    advise = _madvise()
    if advise is None or not _MAPS.exists():
        return
    for first, last in _CODE_OF_FILES.findall(_MAPS.read_text()):
        start = int(first, 16)
        advise(start, int(last, 16) - start, _MADV_DONTNEED)


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
