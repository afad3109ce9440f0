"""The conversion of any kind of pixel to 8 bits of grey or RGB, with transparency laid over white or ignored."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.pictures.picture import Pixels


def flatten(image: Image.Image, mode: str) -> Image.Image:
    """Convert any kind of pixel to 8 bits of ``mode``; transparency is laid over white."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        image = Image.fromarray(stretch(np.asarray(image, dtype=np.float64)))
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


def stretch(values: NDArray[np.float64]) -> Pixels:
    """Map numbers of any shape to greys: the least is black, the largest white, and non-finite numbers count as 0."""
    finite = np.nan_to_num(values, posinf=0, neginf=0)
    low, high = float(finite.min()), float(finite.max())
    stretched: Pixels = np.rint((finite - low) * (255 / ((high - low) or 1))).astype(np.uint8)
    return stretched
