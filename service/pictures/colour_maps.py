"""Colour maps: a heatmap as a palette picture, alone or overlaid on the picture it came from."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.pictures.picture import Pixels, Region, to_image

Map = NDArray[np.floating]

CENTRE = 128  # the diverging colour of exactly zero
REACH = 127  # colours on either side of it


def _interpolate(anchors: list[str], positions: NDArray[np.float64]) -> Pixels:
    """Interpolate colours ``(len(positions), 3)`` at positions within [0, 1] between evenly spaced hex colours."""
    rgb = np.array([list(bytes.fromhex(anchor)) for anchor in anchors])
    places = np.linspace(0, 1, len(anchors))
    channels = [np.interp(positions, places, channel) for channel in rgb.T]
    colours: Pixels = np.rint(np.stack(channels, axis=1)).astype(np.uint8)
    return colours


# Every tenth of viridis (S. van der Walt and N. Smith, 2015, CC0): evenly rising lightness, so that it reads in any
# kind of colour vision and in print, and colours that no grey photograph has, so that it reads over one.
VIRIDIS = ["440154", "482475", "414487", "355f8d", "2a788e", "21918c", "22a884", "44bf70", "7ad151", "bddf26", "fde725"]

# Blues and Oranges of ColorBrewer 2.0 (C. Brewer, M. Harrower, Apache 2.0), joined at white: blue and orange are told
# apart by nearly everybody, and either side darkens evenly.
BLUE_ORANGE = ["08306b", "2171b5", "6baed6", "c6dbef", "ffffff", "fdd0a2", "fd8d3c", "d94801", "7f2704"]

SEQUENTIAL: Pixels = _interpolate(VIRIDIS, np.linspace(0, 1, 256))
DIVERGING: Pixels = _interpolate(BLUE_ORANGE, 0.5 + (np.arange(256) - CENTRE).clip(-REACH) / (2 * REACH))


@dataclass(frozen=True)
class ColourScale:
    """The range of values that a colour map covers.

    Attributes:
        low: the first colour's number, in the units of the map; ``-high`` where signed.
        high: the last colour's number.
        signed: whether the colours diverge from white at exactly zero.
    """

    low: float
    high: float
    signed: bool

    @property
    def colours(self) -> Pixels:
        """The colour map, ``(256, 3)`` RGB."""
        return DIVERGING if self.signed else SEQUENTIAL

    @property
    def ticks(self) -> tuple[float, ...]:
        """Numbers to write beside a colour bar, evenly spaced from its first colour to its last; 0 if that is all."""
        if self.low == self.high:
            return (0.0,)
        return (self.low, 0.0, self.high) if self.signed else (self.low, self.high)


def scale_for(values: Map, signed: bool) -> ColourScale:
    """Return the smallest scale that holds all of ``values``, any shape: one map, or several to be compared.

    Signed scales are symmetric about zero; the others run from zero, or from the least value where that is negative, to
    the largest. Values that are not finite are left out.
    """
    finite = np.isfinite(values)
    low = float(np.min(values, where=finite, initial=0))
    high = float(np.max(values, where=finite, initial=0))
    limit = max(-low, high)
    return ColourScale(-limit, limit, True) if signed else ColourScale(low, high, False)


def colourise(values: Map, scale: ColourScale) -> Pixels:
    """Map values to indices into ``scale.colours``; values beyond the scale are clipped, NaN counts as zero.

    Args:
        values: ``(H, W)``.
        scale: as ``scale_for`` gives it.

    Returns:
        ``(H, W)``, within [1, 255] with zero at 128 where signed, else within [0, 255].
    """
    span = (scale.high - scale.low) or 1.0
    numbers = np.nan_to_num(np.asarray(values, dtype=np.float64)).clip(scale.low, scale.high)
    indices = CENTRE + 2 * REACH * (numbers / span) if scale.signed else 255 * ((numbers - scale.low) / span)
    return np.rint(indices).astype(np.uint8)


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
