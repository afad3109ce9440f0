"""Colour scales: what colour a number of a heatmap has, for the service and for its client."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.floating]
Colours = NDArray[np.uint8]

CENTRE = 128  # the diverging colour of exactly zero
REACH = 127  # colours on either side of it


def _interpolate(anchors: list[str], positions: NDArray[np.float64]) -> Colours:
    """Interpolate colours ``(len(positions), 3)`` at positions within [0, 1] between evenly spaced hex colours."""
    rgb = np.array([list(bytes.fromhex(anchor)) for anchor in anchors])
    places = np.linspace(0, 1, len(anchors))
    channels = [np.interp(positions, places, channel) for channel in rgb.T]
    colours: Colours = np.rint(np.stack(channels, axis=1)).astype(np.uint8)
    return colours


# Every tenth of viridis (S. van der Walt and N. Smith, 2015, CC0): evenly rising lightness, so that it reads in any
# kind of colour vision and in print, and colours that no grey photograph has, so that it reads over one.
VIRIDIS = ["440154", "482475", "414487", "355f8d", "2a788e", "21918c", "22a884", "44bf70", "7ad151", "bddf26", "fde725"]

# Blues and Oranges of ColorBrewer 2.0 (C. Brewer, M. Harrower, Apache 2.0), joined at white: blue and orange are told
# apart by nearly everybody, and either side darkens evenly.
BLUE_ORANGE = ["08306b", "2171b5", "6baed6", "c6dbef", "ffffff", "fdd0a2", "fd8d3c", "d94801", "7f2704"]

SEQUENTIAL: Colours = _interpolate(VIRIDIS, np.linspace(0, 1, 256))
DIVERGING: Colours = _interpolate(BLUE_ORANGE, 0.5 + (np.arange(256) - CENTRE).clip(-REACH) / (2 * REACH))


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
    def colours(self) -> Colours:
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


def colourise(values: Map, scale: ColourScale) -> Colours:
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
