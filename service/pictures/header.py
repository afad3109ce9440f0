"""The headers of picture files, read before any pixels."""

from __future__ import annotations

import io
import re

from PIL import Image

from scs.errors import ImageError, UnsupportedImageError
from service.pictures.bounds import check_bounds
from service.pictures.picture import check_pixels

Image.MAX_IMAGE_PIXELS = None  # Pillow's one limit for a whole process; here each call brings its own

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
BEGINNINGS = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|RIFF....WEBP|GIF8[79]a|BM|II[*+]\0|MM\0[*+]", re.DOTALL)
GREY_MODES = ("1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N")


def open_image(data: bytes, max_pixels: int) -> Image.Image:
    """Read the header of an image file, and no pixels.

    Raises:
        UnsupportedImageError: the bytes are not an image in one of ``FORMATS``.
        TooLargeError: the header says more pixels than ``max_pixels``, or see ``check_bounds``.
        ImageError: there are no bytes, or the header is truncated or damaged, or see ``check_bounds``.
    """
    _check_beginning(data)
    check_bounds(data, max_pixels)
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Exception as error:  # whatever a plugin stumbles over
        raise ImageError("the image's header is truncated or damaged") from error
    check_pixels("the image", image.size, max_pixels)
    return image


def is_grey(data: bytes, max_pixels: int) -> bool:
    """Return whether an image file is grey, by its header.

    Raises:
        UnsupportedImageError, TooLargeError, ImageError: as ``open_image``.
    """
    return open_image(data, max_pixels).mode in GREY_MODES


def _check_beginning(data: bytes) -> None:
    if not data:
        raise ImageError("an image was needed but there are no bytes")
    if not BEGINNINGS.match(data):
        raise UnsupportedImageError(f"an image ({', '.join(FORMATS)}) was needed but the bytes do not begin like one")
