"""Decoding of picture files: the size is checked first, then the pixels are decoded and scaled."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from scs.errors import ImageError
from service.pictures.bounds import check_png_size, is_sound_exif
from service.pictures.convert import flatten, opacity, without_opacity
from service.pictures.header import open_image
from service.pictures.picture import MODES, Picture, Pixels, Size, to_pixels
from service.pictures.png import PNG_BEGINNING, decode_plain_png
from service.pictures.resize import resize, resize_image, scaled_size

DRAFT_MARGIN = 2  # a JPEG is decoded at no less than this many times the size that is wanted
TURNS = {  # EXIF orientation to what turns the picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = (5, 6, 7, 8)  # the orientations in which width and height change places


def decode_image(data: bytes, *, channels: int, max_pixels: int, scale_to: Size | int | None = None) -> Picture:
    """Decode a still image: JPEG, PNG, WebP, GIF (its first frame), BMP or TIFF.

    The picture is turned upright as its EXIF orientation says. Transparency is laid over white, the page that pictures
    with transparency are drawn for and shown on. Of 16-bit greys the upper 8 bits are kept; 32-bit integers and floats,
    which have no agreed range, are stretched from their least value to their largest. Colour profiles are not applied.

    Args:
        data: the file's bytes.
        channels: 1 for grey (ITU-R 601 luma), 3 for RGB.
        max_pixels: most pixels that are decoded, or scaled to.
        scale_to: (width, height), or the longer side; None keeps the size. A JPEG is then decoded at a fraction of its
            size, as long as that is at least twice the size wanted.

    Raises:
        UnsupportedImageError: the bytes are not an image in one of these formats.
        TooLargeError: the header, read before anything is decoded, says more pixels than ``max_pixels``.
        ImageError: there are no bytes, or they are truncated or damaged.
        OptionError: ``scale_to`` is less than one pixel.
    """
    plain = _decode_plain(data, channels, max_pixels, scale_to)
    return plain or _decode(data, MODES[channels], max_pixels, scale_to, flatten)


def decode_cutout(data: bytes, *, channels: int, max_pixels: int) -> tuple[Picture, Pixels | None]:
    """Decode an image as ``decode_image`` does, but keep the colours of transparent pixels and the opacity.

    Returns:
        The picture and its opacity ``(H, W)``, None where all of it is opaque.

    Raises:
        UnsupportedImageError, TooLargeError, ImageError: as ``decode_image``.
    """
    picture = _decode(data, MODES[channels], max_pixels, None, without_opacity)
    alpha = _decode(data, "L", max_pixels, None, opacity).pixels[..., 0]
    return picture, None if alpha.min() == 255 else alpha


def decode_mask(data: bytes, max_pixels: int) -> NDArray[np.float64]:
    """Decode a picture to weights ``(H, W)``: its brightest pixel counts as 1, black as 0.

    Raises:
        UnsupportedImageError, TooLargeError, ImageError: as ``decode_image``.
    """
    pixels = decode_image(data, channels=1, max_pixels=max_pixels).pixels[..., 0]
    weights: NDArray[np.float64] = pixels / max(1, int(pixels.max()))
    return weights


def _decode_plain(data: bytes, channels: int, max_pixels: int, scale_to: Size | int | None) -> Picture | None:
    """Decode a plain PNG; return None for any other file, and for what cannot be read."""
    if not data.startswith(PNG_BEGINNING):
        return None
    check_png_size(data, max_pixels)
    pixels = decode_plain_png(data, channels)
    if pixels is None:
        return None
    size = pixels.shape[1], pixels.shape[0]
    target = size if scale_to is None else scaled_size(size, scale_to, max_pixels)
    return Picture(pixels if target == size else resize_image(pixels, target), *size)


def _decode(
    data: bytes,
    mode: str,
    max_pixels: int,
    scale_to: Size | int | None,
    to_mode: Callable[[Image.Image, str], Image.Image],
) -> Picture:
    image = open_image(data, max_pixels)
    size = image.size
    target = None if scale_to is None else scaled_size(size, scale_to, max_pixels)
    try:
        image.draft(mode, _draft_size(target))
        image.load()
        orientation = _orientation(image)
        upright = to_mode(image, mode)
    except Exception as error:  # on damaged bytes Pillow's decoders raise whatever they stumble over
        message = f"the {image.format} image is truncated, damaged or of a variant that is not read here"
        raise ImageError(message) from error
    if orientation in TURNS:
        upright = upright.transpose(TURNS[orientation])
    if orientation in SIDEWAYS:
        size = size[::-1]
    if scale_to is not None:
        upright = resize(upright, scaled_size(size, scale_to, max_pixels))
    return Picture(to_pixels(upright), *size)


def _draft_size(target: Size | None) -> Size | None:
    """Least size to decode a JPEG at: a square, as it is not known yet whether the picture lies on its side."""
    return None if target is None else (DRAFT_MARGIN * max(target), DRAFT_MARGIN * max(target))


def _orientation(image: Image.Image) -> int:
    """EXIF orientation; 1, upright, where the EXIF block is damaged, and of a TIFF, which Pillow turns as it loads."""
    try:
        if not is_sound_exif(_exif(image)):
            return 1
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # a picture that can be seen is not refused for its metadata
        return 1


def _exif(image: Image.Image) -> bytes:
    """Return the EXIF block that Pillow would read; old PNGs have it as text."""
    text = image.info.get("Raw profile type exif")
    if text is None or "exif" in image.info:
        return bytes(image.info.get("exif", b""))
    return bytes.fromhex("".join(text.split("\n")[3:]))
