"""Loops over pixels, compiled to machine code when first called, and kept on disk where that can be written to."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar, cast

import numba

Loop = TypeVar("Loop", bound=Callable[..., object])


def compiled(loop: Loop) -> Loop:
    """Compile a loop over arrays; it runs without Python's lock, so that threads run it side by side.

    Sums may be taken in any order, which lets several run at once in a register; values are taken to be finite.
    """
    compiler = partial(numba.njit, nogil=True, fastmath=True, error_model="numpy")
    try:
        return cast(Loop, compiler(cache=True)(loop))
    except RuntimeError:  # no folder to keep it in may be written to, as in a read-only container
        return cast(Loop, compiler()(loop))
