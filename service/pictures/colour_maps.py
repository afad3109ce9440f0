"""Colour maps: a heatmap as a palette picture, alone or overlaid on the picture it came from."""

from __future__ import annotations

import io
import math

import numpy as np
from PIL import Image

from service.colours import ColourScale, Map, colourise
from service.pictures.picture import Pixels, Region, to_image


def heatmap(values: Map, scale: ColourScale) -> Image.Image:
    """Draw a heatmap as a palette picture, one pixel a value ``(H, W)``."""
    image = Image.fromarray(colourise(values, scale))
    image.putpalette(scale.colours.tobytes())
    return image


def lay_over(
    values: Map, scale: ColourScale, picture: Pixels, opacity: float = 0.6, region: Region | None = None
) -> Image.Image:
    """Lay a heatmap over the grey version of the picture it came from.

    The map is taken to cover its region evenly, as maps with "same" padding do to within one of their cells, and is
    interpolated between the middles of its cells: numbers are interpolated, not colours, so that every colour shown is
    on the scale.

    Args:
        values: ``(H, W)``.
        scale: as ``scale_for`` gives it.
        picture: ``(H0, W0, C)``, C 1 or 3.
        opacity: of the heatmap, within [0, 1].
        region: what the map covers, in pixels of ``picture``; all of it unless given.

    Returns:
        An RGB picture of W0 by H0, grey outside the region.
    """
    grey = to_image(picture).convert("L").convert("RGB")
    numbers = Image.fromarray(np.nan_to_num(np.asarray(values, dtype=np.float32)))
    x, y, width, height = region or Region(0, 0, *grey.size)
    left, right, first, last = _covered(x, width, grey.width, numbers.width)
    top, bottom, highest, lowest = _covered(y, height, grey.height, numbers.height)
    box, size = (first, highest, last, lowest), (right - left, bottom - top)
    spread = np.asarray(numbers.resize(size, Image.Resampling.BILINEAR, box))
    below = grey.crop((left, top, right, bottom))
    grey.paste(Image.blend(below, heatmap(spread, scale).convert("RGB"), opacity), (left, top))
    return grey


def _covered(start: float, length: float, pixels: int, cells: int) -> tuple[int, int, float, float]:
    """The pixels, of those on one axis, whose middles a map covers, at least one; and the map's part over them."""
    first = min(max(0, math.ceil(start - 0.5)), pixels - 1)
    last = max(first + 1, min(pixels, math.ceil(start + length - 0.5)))
    from_cell, to_cell = (min(max(0.0, (place - start) * cells / length), cells) for place in (first, last))
    return first, last, from_cell, to_cell


def heatmap_png(values: Map, scale: ColourScale) -> bytes:
    """Draw ``heatmap`` as a PNG of 8 bits a pixel."""
    return to_png(heatmap(values, scale))


def overlay_png(
    values: Map, scale: ColourScale, picture: Pixels, opacity: float = 0.6, region: Region | None = None
) -> bytes:
    """Draw ``lay_over`` as a PNG."""
    return to_png(lay_over(values, scale, picture, opacity, region))


def to_png(image: Image.Image) -> bytes:
    """Encode a picture as a PNG file."""
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=1)  # a fifth larger than by default, in a fifth of the time
    return stream.getvalue()
