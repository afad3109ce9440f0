"""Picture files of the laboratory's commands, read and written by Pillow."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from scs.errors import ImageError, TooLargeError

Pixels = NDArray[np.uint8]

MOST_PIXELS = 50_000_000


def read_picture(path: Path) -> Pixels:
    """Read a picture as ``(H, W, 3)``, RGB: upright as its EXIF orientation says, what is transparent laid over white.

    Raises:
        TooLargeError: it has more than ``MOST_PIXELS``.
        ImageError: it is no picture that Pillow reads, or it is damaged.
    """
    data = path.read_bytes()
    try:
        image = Image.open(BytesIO(data))
    except Exception as error:  # whatever a decoder stumbles over
        raise ImageError(f"{path.name} is no picture that can be read here") from error
    if image.width * image.height > MOST_PIXELS:
        raise TooLargeError(f"{path.name} is {image.width}x{image.height}; at most {MOST_PIXELS} pixels are read")
    try:
        colours = ImageOps.exif_transpose(image).convert("RGBA")
    except Exception as error:
        raise ImageError(f"{path.name} is truncated or damaged") from error
    page = Image.new("RGBA", colours.size, "white")
    page.alpha_composite(colours)
    return np.array(page.convert("RGB"))


def write_png(pixels: Pixels, path: Path) -> None:
    """Write a picture ``(H, W, C)``, C 1 or 3, as a PNG."""
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(path, "PNG")
