"""A scene as it was drawn, before anything spoils it, and what all kinds of scenes share."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import ImageFont

FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
_WORDS = """
account address archive backup balance branch budget button camera cancel category change channel client column
comment company connect contact content contract control counter country customer daily default delete delivery
detail device discount document download driver editor email enable engine error event export factory feature filter
finish folder format gateway general global graph group header history holiday image import index input invoice item
journal kernel label language layer letter level license limit list local manager margin market member memory
message minute mobile model module monitor network notice number object office option order output package panel
paper partner password payment period person phone picture plan point policy portal price print private process
product profile project public quality query queue random record region release remote report request reset result
return review sample save schedule screen search section select server service session setting signal source status
storage store stream string student submit summary supply support switch system table target teacher template ticket
title token topic total track traffic update upload user value vendor version video view volume warning window
winter worker
"""
WORDS = _WORDS.split()


@dataclass(frozen=True)
class Drawn:
    """A scene, what to look for in it, and where that is.

    Attributes:
        pixels: ``(H, W)`` or ``(H, W, 3)`` uint8, or a signal ``(L,)``.
        template: likewise.
        corners: row and column of the first pixel of each copy.
    """

    pixels: np.ndarray
    template: np.ndarray
    corners: list


@cache
def font(pixels, name="DejaVuSans"):
    return ImageFont.truetype(str(FONTS / f"{name}.ttf"), pixels)


def scattered(rng, shape, size, count, gap=2):
    """Corners of so many boxes that do not touch, at random; fewer where there is no more room."""
    taken = np.zeros(shape, bool)
    corners = []
    for _ in range(40 * count):
        if len(corners) == count:
            break
        row, column = int(rng.integers(gap, shape[0] - size[0] - gap)), int(rng.integers(gap, shape[1] - size[1] - gap))
        around = taken[row - gap : row + size[0] + gap, column - gap : column + size[1] + gap]
        if not around.any():
            around[:] = True
            corners.append((row, column))
    return corners


def side_for(count, size, least=260):
    """Side of a square scene with room for so many boxes."""
    return max(least, int(np.sqrt(4.5 * count * (size[0] + 4) * (size[1] + 4))))
