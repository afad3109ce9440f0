"""Decoding of picture files: the size is checked first, then the pixels are decoded and scaled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.pictures.bounds import check_png_size
from service.pictures.convert import flatten, without_opacity
from service.pictures.header import open_picture
from service.pictures.picture import MODES, Picture, Pixels, Size, to_pixels
from service.pictures.picture_file import PictureFile
from service.pictures.plain_jpeg import JPEG_BEGINNING, decode_plain_jpeg
from service.pictures.png import PNG_BEGINNING, decode_plain_png
from service.pictures.resize import resize, resize_image, scaled_size

DRAFT_MARGIN = 2  # a JPEG is decoded at no less than this many times the size that is wanted


def decode_image(
    data: bytes, *, channels: int, max_pixels: int, scale_to: Size | int | None = None, draft: bool = False
) -> Picture:
    """Decode a still image: JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF; of several pictures in a file the first.

    The picture is turned upright as its EXIF orientation says, and its colours are converted to sRGB by its ICC
    profile. Transparency is laid over white, the page that pictures with transparency are drawn for and shown on. Of
    more than 8 bits the upper 8 are kept. Floats, signed numbers and those of more than 16 bits have no agreed range:
    :func:`service.pictures.numbers.to_greys` says how they become greys.

    Args:
        data: the file's bytes.
        channels: 1 for grey (ITU-R 601 luma), 3 for RGB.
        max_pixels: most pixels that are decoded, or scaled to.
        scale_to: (width, height), or the longer side; None keeps the size.
        draft: whether a JPEG that is scaled down may be decoded at a fraction of its size, if that is at least twice
            the size wanted: several times as fast, and some pixels are others.

    Raises:
        UnsupportedImageError: the bytes are not an image in one of these formats, or of a variant that is not read.
        TooLargeError: the header, read before anything is decoded, says more pixels than ``max_pixels``.
        ImageError: there are no bytes, or they are truncated or damaged.
        OptionError: ``scale_to`` is less than one pixel.
    """
    plain = _decode_plain(data, channels, max_pixels, scale_to)
    if plain is not None:
        return plain
    image, opened = _load(data, channels, max_pixels, scale_to if draft else None)
    upright = flatten(image, MODES[channels])
    size = opened.upright_size
    if scale_to is not None:
        upright = resize(upright, scaled_size(size, scale_to, max_pixels))
    return Picture(to_pixels(upright), *size)


def decode_cutout(data: bytes, *, channels: int, max_pixels: int) -> tuple[Picture, Pixels | None]:
    """Decode an image as ``decode_image`` does, but keep the colours of transparent pixels and the opacity.

    Returns:
        The picture and its opacity ``(H, W)``, None where all of it is opaque.

    Raises:
        UnsupportedImageError, TooLargeError, ImageError: as ``decode_image``.
    """
    image, opened = _load(data, channels, max_pixels, None)
    picture = Picture(to_pixels(without_opacity(image, MODES[channels])), *opened.upright_size)
    if image.mode not in ("LA", "RGBA"):
        return picture, None
    opacity = np.array(image.getchannel("A"))
    return picture, None if opacity.min() == 255 else opacity


def decode_mask(data: bytes, max_pixels: int) -> NDArray[np.float64]:
    """Decode a picture to weights ``(H, W)``: its brightest pixel counts as 1, black as 0.

    Raises:
        UnsupportedImageError, TooLargeError, ImageError: as ``decode_image``.
    """
    pixels = decode_image(data, channels=1, max_pixels=max_pixels).pixels[..., 0]
    weights: NDArray[np.float64] = pixels / max(1, int(pixels.max()))
    return weights


def _decode_plain(data: bytes, channels: int, max_pixels: int, scale_to: Size | int | None) -> Picture | None:
    """Decode a plain PNG or JPEG; return None for any other file, and for what cannot be read."""
    if data.startswith(JPEG_BEGINNING):
        pixels = decode_plain_jpeg(data, channels, max_pixels)
    elif data.startswith(PNG_BEGINNING):
        check_png_size(data, max_pixels)
        pixels = decode_plain_png(data, channels)
    else:
        return None
    if pixels is None:
        return None
    size = pixels.shape[1], pixels.shape[0]
    target = size if scale_to is None else scaled_size(size, scale_to, max_pixels)
    return Picture(pixels if target == size else resize_image(pixels, target), *size)


def _load(data: bytes, channels: int, max_pixels: int, scale_to: Size | int | None) -> tuple[Image.Image, PictureFile]:
    opened = open_picture(data, max_pixels)
    target = None if scale_to is None else scaled_size(opened.size, scale_to, max_pixels)
    return opened.load(_draft_size(target), channels == 1), opened


def _draft_size(target: Size | None) -> Size | None:
    """Least size to decode a JPEG at: a square, as it is not known yet whether the picture lies on its side."""
    return None if target is None else (DRAFT_MARGIN * max(target), DRAFT_MARGIN * max(target))
