"""Just-in-time compilation of loops over pixels (Numba), cached on disk where the disk is writable."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar, cast

import numba

Loop = TypeVar("Loop", bound=Callable[..., object])


def compiled(loop: Loop) -> Loop:
    """Compile a loop over arrays that releases the GIL, so that threads run it in parallel.

    Sums may be taken in any order, which lets several run at once in a register; values are taken to be finite.
    """
    return _compile(loop, fastmath=True)


def compiled_for_threads(loop: Loop) -> Loop:
    """Compile a loop whose ``numba.prange`` is spread over threads, and that propagates NaN and infinity."""
    return _compile(loop, parallel=True, fastmath={"contract", "reassoc", "nsz", "arcp"})


def _compile(loop: Loop, **options: object) -> Loop:
    compiler = partial(numba.njit, nogil=True, error_model="numpy", **options)
    try:
        return cast(Loop, compiler(cache=True)(loop))
    except RuntimeError:  # no folder to keep it in may be written to, as in a read-only container
        return cast(Loop, compiler()(loop))
