"""The plan of a search from coarse to fine: by how much scene and template are shrunk before all places are tried."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scs.matching.arrays import Array
from scs.matching.presence.averaged import averaged
from scs.matching.threads import available_threads, shared_pool

Size = tuple[int, int]

# Pixels on the shorter side of a shrunk template, at least; fewer hold too little to tell places apart.
_LEAST_SIDE = 12
# Below so many pixels of a shrunk scene its own shrinking takes all of the time.
_LEAST_PIXELS = 2**15
# Correlation of a shrunk template with itself half a pixel away, across and down. A template whose contrast is finer
# than that would hide between the pixels of the shrunk scene.
_LEAST_LIKENESS = 0.6
_STRIP = 2**21  # numbers of a picture that one thread shrinks at a time


@dataclass(frozen=True)
class Plan:
    """How a template and its scene are shrunk.

    Attributes:
        factor: pixels of the scene along each side of one of the shrunk scene.
        likeness: correlation of the shrunk template with itself half a pixel away, across and down: what is left of the
            score of a match at the place between the pixels that is worst for it.
    """

    factor: int
    likeness: float


def plan_for(scene: Size, template: Array) -> Plan | None:
    """Choose the largest factor at which a template can still be told; None where there is none.

    Args:
        scene: height and width of the scene.
        template: ``(h, w, C)``.
    """
    largest = math.isqrt(scene[0] * scene[1] // _LEAST_PIXELS)
    factor = min(min(template.shape[:2]) // _LEAST_SIDE, largest)
    while factor >= 2:
        likeness = _likeness(template, factor)
        if likeness >= _LEAST_LIKENESS:
            return Plan(factor, likeness)
        factor //= 2
    return None


def shrunk(pixels: Array, factor: int) -> tuple[NDArray[np.float32], Size]:
    """Average blocks of a picture ``(H, W, C)`` of as many whole blocks as it has, in its middle.

    Returns:
        The averages, and row and column of the first block's first pixel.
    """
    rows, columns = pixels.shape[0] // factor, pixels.shape[1] // factor
    top, left = (pixels.shape[0] - rows * factor) // 2, (pixels.shape[1] - columns * factor) // 2
    part = pixels[top : top + rows * factor, left : left + columns * factor]
    step = max(1, _STRIP // (factor * part[0].size))
    if rows <= step:
        return averaged(part, (rows, columns)), (top, left)

    def strip(first: int) -> NDArray[np.float32]:
        some = part[first * factor : (first + step) * factor]
        return averaged(some, (len(some) // factor, columns))

    return np.concatenate(list(shared_pool(available_threads()).map(strip, range(0, rows, step)))), (top, left)


def _likeness(template: Array, factor: int) -> float:
    """Correlation of a shrunk template with itself half a pixel away; 0 where it has no contrast."""
    step = factor // 2
    rows, columns = (side // factor * factor - factor for side in template.shape[:2])
    here = _centred(shrunk(template[:rows, :columns], factor)[0])
    there = _centred(shrunk(template[step : step + rows, step : step + columns], factor)[0])
    norm = math.sqrt(float(np.vdot(here, here)) * float(np.vdot(there, there)))
    return float(np.vdot(here, there)) / norm if norm else 0.0


def _centred(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    centred: NDArray[np.float32] = pixels - pixels.mean((0, 1))
    return centred
