"""Allocator settings for training, which keep freed memory for the next step.

A service wants the opposite: :mod:`models.runtime.memory` hands memory back.
"""

from __future__ import annotations

import ctypes

# Names and numbers of glibc's <malloc.h>.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_NEVER = 2**31 - 1
_PAD = 2**26  # bytes


def keep_freed_memory() -> bool:
    """Keep freed memory in this process (``mallopt``), so that a training step reuses the pages of the one before.

    By default glibc hands large blocks back to the system at once, and the system clears them before it gives them out
    again: half the time of a training step on the CPU. The process stays as large as it has been.

    Returns:
        Whether the C library could be told; others than glibc cannot.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, TypeError, OSError):  # no such function, or no such library
        return False
    return all(mallopt(*option) for option in ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, _NEVER), (_M_TOP_PAD, _PAD)))
