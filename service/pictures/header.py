"""The headers of picture files, read before any pixels."""

from __future__ import annotations

from PIL import Image

from scs.errors import ImageError, ScsError, UnsupportedImageError
from service.pictures.bmp_file import MaskedBmpFile, has_masks
from service.pictures.bounds import check_bounds
from service.pictures.formats import FORMATS, format_of, is_raw_photograph, name_of
from service.pictures.picture import check_pixels
from service.pictures.picture_file import PictureFile
from service.pictures.pillow_file import PillowFile
from service.pictures.png_file import PngFile
from service.pictures.tiff_file import TiffFile

Image.MAX_IMAGE_PIXELS = None  # Pillow's one limit for a whole process; here each call brings its own


def open_picture(data: bytes, max_pixels: int) -> PictureFile:
    """Read the header of a picture file, and no pixels.

    Raises:
        UnsupportedImageError: the bytes are not a picture in one of ``FORMATS``, or one of a variant that is not read.
        TooLargeError: the header says more pixels than ``max_pixels``, or see ``check_bounds``.
        ImageError: there are no bytes, or the header is truncated or damaged, or see ``check_bounds``.
    """
    kind = _check_beginning(data)
    check_bounds(data, max_pixels)
    try:
        opened = _open(data, kind)
    except ScsError:
        raise
    except Exception as error:  # whatever a library stumbles over
        raise ImageError("the image's header is truncated or damaged") from error
    if min(opened.size) < 1:
        raise ImageError(f"the image is {opened.size[0]}x{opened.size[1]}; it needs a pixel")
    check_pixels("the image", opened.size, max_pixels)
    return opened


def _open(data: bytes, kind: str) -> PictureFile:
    if kind == "TIFF":
        return TiffFile(data)
    if kind == "PNG":
        return PngFile(data)
    return MaskedBmpFile(data) if kind == "BMP" and has_masks(data) else PillowFile(data, kind)


def is_grey(data: bytes, max_pixels: int) -> bool:
    """Return whether an image file is grey, by its header.

    Raises:
        UnsupportedImageError, TooLargeError, ImageError: as ``open_picture``.
    """
    return open_picture(data, max_pixels).is_grey


def _check_beginning(data: bytes) -> str:
    """Return the format of a file."""
    if not data:
        raise ImageError("an image was needed but there are no bytes")
    kind = format_of(data)
    if kind is None or is_raw_photograph(data):
        came = name_of(data)
        what = "the bytes do not begin like one" if came is None else f"{came} came"
        raise UnsupportedImageError(f"an image ({', '.join(FORMATS)}) was needed but {what}")
    return kind
