"""From bytes to pixels: size known and allowed first, then decoded, then scaled."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from scs.errors import ImageError, OptionError, TooLargeError, UnsupportedImageError
from service.pictures.png import decode_plain_png

Image.MAX_IMAGE_PIXELS = None  # Pillow's one limit for a whole process; here each call brings its own

Pixels = NDArray[np.uint8]
Size = tuple[int, int]  # width, height

MAX_PICTURES = 64  # in one request, however they are sent
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
BEGINNINGS = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|RIFF....WEBP|GIF8[79]a|BM|II[*+]\0|MM\0[*+]", re.DOTALL)
PNG_SIZE = re.compile(rb"\x89PNG\r\n\x1a\n....IHDR(....)(....)", re.DOTALL)
MODES = {1: "L", 3: "RGB"}
GREY_MODES = ("1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N")
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


def decode_image(data: bytes, *, channels: int, max_pixels: int, scale_to: Size | int | None = None) -> Picture:
    """Read a still image: JPEG, PNG, WebP, GIF (its first frame), BMP or TIFF.

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
    return plain or _decode(data, MODES[channels], max_pixels, scale_to, _flatten)


def decode_cutout(data: bytes, *, channels: int, max_pixels: int) -> tuple[Picture, Pixels | None]:
    """Read an image as ``decode_image`` does, but for what is transparent: its colours are kept, beside its opacity.

    Returns:
        The picture and its opacity ``(H, W)``, None where all of it is opaque.

    Raises:
        UnsupportedImageError, TooLargeError, ImageError: as ``decode_image``.
    """
    picture = _decode(data, MODES[channels], max_pixels, None, _bare)
    opacity = _decode(data, "L", max_pixels, None, _opacity).pixels[..., 0]
    return picture, None if opacity.min() == 255 else opacity


def decode_mask(data: bytes, max_pixels: int) -> NDArray[np.float64]:
    """Read a picture as weights ``(H, W)``: its brightest pixel counts as 1, black as 0.

    Raises:
        UnsupportedImageError, TooLargeError, ImageError: as ``decode_image``.
    """
    pixels = decode_image(data, channels=1, max_pixels=max_pixels).pixels[..., 0]
    weights: NDArray[np.float64] = pixels / max(1, int(pixels.max()))
    return weights


def is_grey(data: bytes, max_pixels: int) -> bool:
    """Whether an image file says of itself that it has no colours.

    Raises:
        UnsupportedImageError, TooLargeError, ImageError: as ``decode_image``, of what the header shows.
    """
    _check_beginning(data)
    _check_png_header(data, max_pixels)
    return _open(data).mode in GREY_MODES


def _decode_plain(data: bytes, channels: int, max_pixels: int, scale_to: Size | int | None) -> Picture | None:
    """A picture whose pixels can be taken as they are; None for any other, and for what cannot be read."""
    _check_png_header(data, max_pixels)
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
    flatten: Callable[[Image.Image, str], Image.Image],
) -> Picture:
    _check_beginning(data)
    _check_png_header(data, max_pixels)
    image = _open(data)
    size = image.size
    _check_pixels("the image", size, max_pixels)
    target = None if scale_to is None else scaled_size(size, scale_to, max_pixels)
    try:
        image.draft(mode, _draft_size(target))
        image.load()
        orientation = _orientation(image)
        upright = flatten(image, mode)
    except Exception as error:  # on damaged bytes Pillow's decoders raise whatever they stumble over
        message = f"the {image.format} image is truncated, damaged or of a variant that is not read here"
        raise ImageError(message) from error
    if orientation in TURNS:
        upright = upright.transpose(TURNS[orientation])
    if orientation in SIDEWAYS:
        size = size[::-1]
    if scale_to is not None:
        upright = _resize(upright, scaled_size(size, scale_to, max_pixels))
    return Picture(_to_pixels(upright), *size)


def decode_npy(data: bytes, *, channels: int, max_pixels: int, scale_to: Size | int | None = None) -> list[Picture]:
    """Read uint8 pictures from a NumPy ``.npy`` file.

    Args:
        data: the file's bytes, an array ``(H, W)``, ``(H, W, C)`` or ``(N, H, W, C)`` of uint8 with C 1 or 3.
        channels: 1 for grey (ITU-R 601 luma), 3 for RGB; the pictures are converted where theirs differ.
        max_pixels: most pixels of all the pictures together, as they come and as they are scaled.
        scale_to: (width, height), or the longer side; None keeps the size.

    Returns:
        N pictures, or one.

    Raises:
        UnsupportedImageError: the bytes are not a ``.npy`` file, or its numbers are not uint8.
        TooLargeError: the header says more pixels than ``max_pixels``.
        ImageError: the shape is not that of pictures, or more or fewer bytes follow than the header says.
        OptionError: ``scale_to`` is less than one pixel.
    """
    dtype, shape, order, start = npy_header(data)
    if dtype != np.uint8:
        raise UnsupportedImageError(f"the array must hold uint8 but holds {dtype}")
    if len(shape) not in (2, 3, 4) or min(shape) < 1 or (len(shape) > 2 and shape[-1] not in MODES):
        raise ImageError(f"the array must be (H, W), (H, W, C) or (N, H, W, C) with C 1 or 3 but is {shape}")
    height, width = shape if len(shape) == 2 else shape[-3:-1]
    count = shape[0] if len(shape) == 4 else 1
    if count > MAX_PICTURES:
        raise TooLargeError(f"one request may hold {MAX_PICTURES} images; an array of {count} came")
    share = max_pixels // count
    _check_pixels(f"each of {count} images", (width, height), share)
    target = (width, height) if scale_to is None else scaled_size((width, height), scale_to, share)
    needed, came = math.prod(shape), len(data) - start
    if came != needed:
        raise ImageError(f"the array's header promises {needed} bytes of pixels but {came} follow")
    array = np.frombuffer(data, np.uint8, offset=start).reshape(shape, order=order)
    images = (to_image(pixels).convert(MODES[channels]) for pixels in array.reshape(count, height, width, -1))
    return [Picture(_to_pixels(_resize(image, target)), width, height) for image in images]


def resize_image(pixels: Pixels, size: Size) -> Pixels:
    """Scale a picture, antialiased, as ``decode_image`` does: bilinear, over every pixel that a new one covers.

    Args:
        pixels: ``(H, W, C)``, C 1 or 3.
        size: (width, height) in pixels, each at least 1.

    Returns:
        ``(height, width, C)``.
    """
    return _to_pixels(_resize(to_image(pixels), size))


def scaled_size(size: Size, scale_to: Size | int, max_pixels: int) -> Size:
    """(width, height) of a picture of ``size`` once its longer side, or both, are as ``scale_to`` says.

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
    _check_pixels("the scaled image", (width, height), max_pixels)
    return width, height


def npy_header(data: bytes) -> tuple[np.dtype[Any], tuple[int, ...], Literal["C", "F"], int]:
    """What a ``.npy`` file says of itself: type, shape, memory order ("C" or "F") and the offset of the first number.

    Raises:
        UnsupportedImageError: the bytes are not a ``.npy`` file.
        ImageError: there are no bytes.
    """
    if not data:
        raise ImageError("an array was needed but there are no bytes")
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, fortran, dtype = read(stream)
    except Exception as error:
        raise UnsupportedImageError("a .npy array was needed but the bytes do not begin like one") from error
    return dtype, shape, "F" if fortran else "C", stream.tell()


def to_image(pixels: Pixels) -> Image.Image:
    """A picture ``(H, W, C)``, C 1 or 3, as Pillow's, grey or RGB."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def _open(data: bytes) -> Image.Image:
    """Read the header, and no pixels."""
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except Exception as error:  # whatever a plugin stumbles over
        raise ImageError("the image's header is truncated or damaged") from error


def _check_beginning(data: bytes) -> None:
    if not data:
        raise ImageError("an image was needed but there are no bytes")
    if not BEGINNINGS.match(data):
        raise UnsupportedImageError(f"an image ({', '.join(FORMATS)}) was needed but the bytes do not begin like one")


def _check_png_header(data: bytes, max_pixels: int) -> None:
    """Refuse a PNG by the size it claims, which Pillow only tells once it has seen that pixels follow."""
    if header := PNG_SIZE.match(data):
        width, height = (int.from_bytes(side) for side in header.groups())
        _check_pixels("the image", (width, height), max_pixels)


def _check_pixels(what: str, size: Size, max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise TooLargeError(f"{what} is {width}x{height}, {width * height} pixels; at most {max_pixels} are allowed")


def _draft_size(target: Size | None) -> Size | None:
    """Least size to decode a JPEG at: a square, as it is not known yet whether the picture lies on its side."""
    return None if target is None else (DRAFT_MARGIN * max(target), DRAFT_MARGIN * max(target))


def _orientation(image: Image.Image) -> int:
    """EXIF orientation; 1, upright, where the EXIF block is damaged, and of a TIFF, which Pillow turns as it loads."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # a picture that can be seen is not refused for its metadata
        return 1


def _flatten(image: Image.Image, mode: str) -> Image.Image:
    """Reduce any kind of pixel to 8 bits of ``mode``, without transparency."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        image = Image.fromarray(_stretch(np.asarray(image, dtype=np.float64)))
    elif image.has_transparency_data:
        colours = image.convert("RGBA")
        image = Image.new("RGB", image.size, "white")
        image.paste(colours, mask=colours)
    return image if image.mode == mode else image.convert(mode)


def _bare(image: Image.Image, mode: str) -> Image.Image:
    """Reduce any kind of pixel to 8 bits of ``mode``, whatever its opacity."""
    return image.convert("RGBA").convert("RGB").convert(mode) if image.has_transparency_data else _flatten(image, mode)


def _opacity(image: Image.Image, mode: str) -> Image.Image:
    """How opaque each pixel is, from 0 to 255."""
    if image.has_transparency_data:
        return image.convert("RGBA").getchannel("A")
    return Image.new(mode, image.size, 255)


def _stretch(values: NDArray[np.float64]) -> Pixels:
    finite = np.nan_to_num(values, posinf=0, neginf=0)
    low, high = float(finite.min()), float(finite.max())
    stretched: Pixels = np.rint((finite - low) * (255 / ((high - low) or 1))).astype(np.uint8)
    return stretched


def _resize(image: Image.Image, size: Size) -> Image.Image:
    return image if image.size == size else image.resize(size, Image.Resampling.BILINEAR)


def _to_pixels(image: Image.Image) -> Pixels:
    return np.array(image).reshape(image.height, image.width, -1)
