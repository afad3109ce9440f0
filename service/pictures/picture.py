"""A decoded picture, the limit of its pixels, and its conversion to and from Pillow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scs.errors import TooLargeError

Pixels = NDArray[np.uint8]
Size = tuple[int, int]  # width, height

MAX_PICTURES = 64  # in one request, however they are sent
MODES = {1: "L", 3: "RGB"}  # Pillow's, by channels


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture.

    Attributes:
        pixels: ``(H, W, C)``, scaled where the caller asked for it.
        width: pixels across of the picture as it came, upright.
        height: pixels down, likewise.
    """

    pixels: Pixels
    width: int
    height: int


def check_pixels(what: str, size: Size, max_pixels: int) -> None:
    """Refuse a picture with more pixels than are allowed.

    Args:
        what: "the image", say, for the message.
        size: (width, height).
        max_pixels: most that are allowed.

    Raises:
        TooLargeError: it has more; the message gives both numbers.
    """
    width, height = size
    if width * height > max_pixels:
        raise TooLargeError(f"{what} is {width}x{height}, {width * height} pixels; at most {max_pixels} are allowed")


def to_image(pixels: Pixels) -> Image.Image:
    """Convert a picture ``(H, W, C)``, C 1 or 3, to Pillow's, grey or RGB."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def to_pixels(image: Image.Image) -> Pixels:
    """Convert a picture of Pillow's, grey or RGB, to ``(H, W, C)``."""
    return np.array(image).reshape(image.height, image.width, -1)
