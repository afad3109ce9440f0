"""The check of receptive fields by moving pixels: what lies outside a unit's field must not change the unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from models.cards.card import LayerCard

Array = NDArray[Any]
_CUTS = (0.25, 0.5, 0.75)  # of the picture's side, up to which, or from which on, pixels are others
_ROUNDING = 1e-5  # of a map's largest value


def refuted(
    layers: Sequence[LayerCard], run: Callable[[Array], Mapping[str, Array]], height: int, width: int, channels: int
) -> set[str]:
    """Return the names of layers of which some unit sees more than its card says.

    The pixels on one side of a row or column are replaced, and no unit may change whose field lies on the other side.

    Args:
        layers: those to check; one that sees everything has nothing to be refuted.
        run: gives the maps ``(1, C, H', W')`` of the layers of an image ``(1, H, W, C)``, by name.
        height: of the images.
        width: of the images.
        channels: of the images.
    """
    claims = [layer for layer in layers if not layer.receptive_field.everywhere]
    if not claims:
        return set()
    random = np.random.default_rng(0)
    image, other = (random.integers(0, 256, (1, height, width, channels), dtype=np.uint8) for _ in range(2))
    still = run(image)
    wrong: set[str] = set()
    sides: tuple[tuple[Literal[1, 2], int], ...] = ((1, height), (2, width))
    for axis, length in sides:
        for cut in sorted({round(length * share) for share in _CUTS} - {0, length}):
            for after in (True, False):
                part = slice(cut, None) if after else slice(None, cut)
                moved = image.copy()
                place = (slice(None), part) if axis == 1 else (slice(None), slice(None), part)
                moved[place] = other[place]
                maps = run(moved)
                for layer in claims:
                    if _has_moved(layer, still[layer.name], maps[layer.name], axis, cut, after):
                        wrong.add(layer.name)
    return wrong


def _has_moved(layer: LayerCard, still: Array, moved: Array, axis: Literal[1, 2], cut: int, after: bool) -> bool:
    """Return whether a unit has changed whose field lies wholly before the cut, or wholly after it."""
    field = layer.receptive_field
    size, stride, offset = (field.size, field.across)[axis - 1], field.strides[axis - 1], field.offsets[axis - 1]
    first = offset + stride * np.arange(still.shape[axis + 1])
    untouched = first + size <= cut if after else first >= cut
    changes = np.abs(moved.astype(np.float64) - still).max(axis=(0, 1, 4 - axis))
    return bool((changes[untouched] > _ROUNDING * max(1e-30, float(np.abs(still).max()))).any())
