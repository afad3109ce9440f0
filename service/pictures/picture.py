"""A decoded picture, the limit of its pixels, and its conversion to and from Pillow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scs.errors import TooLargeError

Pixels = NDArray[np.uint8]
Size = tuple[int, int]  # width, height

MAX_PICTURES = 64  # in one request, however they are sent
MODES = {1: "L", 3: "RGB"}  # Pillow's, by channels


class Region(NamedTuple):
    """A rectangle in pixels of a picture, and in fractions of them; it may reach beyond the picture."""

    x: float
    y: float
    width: float
    height: float

    def scaled(self, across: float, down: float) -> Region:
        """Scale the rectangle by ``across`` and ``down``."""
        return Region(self.x * across, self.y * down, self.width * across, self.height * down)


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture.

    Attributes:
        pixels: ``(H, W, C)``, scaled, cropped or padded where the caller asked for it.
        width: pixels across of the picture as it came, upright.
        height: pixels down, likewise.
        part: what of the picture as it came ``pixels`` show, where that is not just the whole.
        whole: all of the picture as it came, where it was asked to be kept beside a part.
    """

    pixels: Pixels
    width: int
    height: int
    part: Region | None = None
    whole: Pixels | None = None

    @property
    def region(self) -> Region:
        """What ``pixels`` show, in pixels of the picture as it came."""
        return self.part or Region(0, 0, self.width, self.height)


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
