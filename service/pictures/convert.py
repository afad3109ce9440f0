"""The conversion of any kind of pixel to 8 bits of grey or RGB, with transparency laid over white or ignored."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.pictures.picture import Pixels

_AT_ONCE = 2**20  # numbers that are stretched together


def flatten(image: Image.Image, mode: str) -> Image.Image:
    """Convert any kind of pixel to 8 bits of ``mode``; transparency is laid over white."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        image = Image.fromarray(stretch(np.asarray(image)))
    elif image.has_transparency_data:
        colours = image.convert("RGBA")
        image = Image.new("RGB", image.size, "white")
        image.paste(colours, mask=colours)
    return image if image.mode == mode else image.convert(mode)


def without_opacity(image: Image.Image, mode: str) -> Image.Image:
    """Convert any kind of pixel to 8 bits of ``mode``; transparency is ignored."""
    return image.convert("RGBA").convert("RGB").convert(mode) if image.has_transparency_data else flatten(image, mode)


def opacity(image: Image.Image, mode: str) -> Image.Image:
    """Return the opacity (alpha channel) of each pixel, from 0 to 255."""
    if image.has_transparency_data:
        return image.convert("RGBA").getchannel("A")
    return Image.new(mode, image.size, 255)


def stretch(values: NDArray[Any]) -> Pixels:
    """Map numbers ``(H, …)`` to greys: the least is black, the largest white, and non-finite numbers count as 0."""
    # A few rows at a time, as float64 takes eight times the memory of the greys.
    strips = range(0, len(values), max(1, _AT_ONCE // max(1, values[:1].size)))
    finite = (_finite(values[first : first + strips.step]) for first in strips)
    ends = [(float(strip.min()), float(strip.max())) for strip in finite]
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    stretched: Pixels = np.empty(values.shape, np.uint8)
    for first in strips:
        strip = _finite(values[first : first + strips.step])
        stretched[first : first + strips.step] = np.rint((strip - low) * (255 / ((high - low) or 1)))
    return stretched


def _finite(values: NDArray[Any]) -> NDArray[np.float64]:
    return np.nan_to_num(values.astype(np.float64), posinf=0, neginf=0)
