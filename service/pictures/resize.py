"""Scaling of pictures."""

from __future__ import annotations

from PIL import Image

from scs.errors import OptionError
from service.pictures.picture import Pixels, Size, check_pixels, to_image, to_pixels


def resize_image(pixels: Pixels, size: Size) -> Pixels:
    """Scale a picture as ``decode_image`` does: bilinear and antialiased, over every pixel that a new one covers.

    Args:
        pixels: ``(H, W, C)``, C 1 or 3.
        size: (width, height) in pixels, each at least 1.

    Returns:
        ``(height, width, C)``.
    """
    return to_pixels(resize(to_image(pixels), size))


def resize(image: Image.Image, size: Size) -> Image.Image:
    """Scale a picture of Pillow's as ``resize_image`` does; return it unchanged if it has that size."""
    return image if image.size == size else image.resize(size, Image.Resampling.BILINEAR)


def scaled_size(size: Size, scale_to: Size | int, max_pixels: int) -> Size:
    """Return (width, height) of a picture of ``size`` scaled to ``scale_to``: both sides, or the longer one.

    Raises:
        OptionError: ``scale_to`` is less than one pixel.
        TooLargeError: the result has more pixels than ``max_pixels``.
    """
    if isinstance(scale_to, int):
        longest = max(size)
        target = tuple(scale_to if side == longest else max(1, round(side * scale_to / longest)) for side in size)
    else:
        target = scale_to
    width, height = target
    if min(target) < 1:
        raise OptionError(f"an image can be scaled to 1 pixel or more but {width}x{height} was asked for")
    check_pixels("the scaled image", (width, height), max_pixels)
    return width, height
