"""Loops over pixels, compiled to machine code when they are first called and kept on disk from then on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

Loop = TypeVar("Loop", bound=Callable[..., object])


def compiled(loop: Loop) -> Loop:
    """Compile a loop over arrays; it runs without Python's lock, so that threads run it side by side.

    Sums may be taken in any order, which lets several run at once in a register; values are taken to be finite.
    """
    decorate = numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
    return cast(Loop, decorate(loop))
