"""NumPy's ``.npy`` files: their headers, and the pictures and arrays in them."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scs.errors import ImageError, OptionError, ShapeError, TooLargeError, UnsupportedImageError
from service.pictures.picture import MAX_PICTURES, MODES, Picture, Size, check_pixels, to_image, to_pixels
from service.pictures.resize import resize, scaled_size

Array = NDArray[Any]

CONTENT_TYPE = "application/x-npy"
_MAGIC = b"\x93NUMPY"


class NpyHeader(NamedTuple):
    """The header of a ``.npy`` file.

    Attributes:
        dtype: of its numbers.
        shape: of its array.
        order: how its numbers follow each other: "C", row by row, or "F", column by column.
        start: offset of the first number, in bytes.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    order: Literal["C", "F"]
    start: int


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
    header = npy_header(data)
    dtype, shape = header.dtype, header.shape
    if dtype != np.uint8:
        raise UnsupportedImageError(f"the array must hold uint8 but holds {dtype}")
    if len(shape) not in (2, 3, 4) or min(shape) < 1 or (len(shape) > 2 and shape[-1] not in MODES):
        raise ImageError(f"the array must be (H, W), (H, W, C) or (N, H, W, C) with C 1 or 3 but is {shape}")
    height, width = shape if len(shape) == 2 else shape[-3:-1]
    count = shape[0] if len(shape) == 4 else 1
    if count > MAX_PICTURES:
        raise TooLargeError(f"one request may hold {MAX_PICTURES} images; an array of {count} came")
    share = max_pixels // count
    check_pixels(f"each of {count} images", (width, height), share)
    target = (width, height) if scale_to is None else scaled_size((width, height), scale_to, share)
    array = _numbers(data, header, "pixels")
    images = (to_image(pixels).convert(MODES[channels]) for pixels in array.reshape(count, height, width, -1))
    return [Picture(to_pixels(resize(image, target)), width, height) for image in images]


def read_array(data: bytes, types: Sequence[str], max_pixels: int) -> Array:
    """Read a picture ``(H, W)`` or ``(H, W, C)``, or a signal ``(L,)``, from a NumPy ``.npy`` file.

    Raises:
        UnsupportedImageError: the bytes are not a ``.npy`` file.
        ShapeError: another shape.
        OptionError: another type than these, or numbers that are not finite.
        TooLargeError: the header says more pixels than ``max_pixels``.
        ImageError: more or fewer bytes follow than the header says.
    """
    header = npy_header(data)
    dtype, shape = header.dtype, header.shape
    if len(shape) not in (1, 2, 3) or min(shape) < 1:
        raise ShapeError(f"the array must be (H, W), (H, W, C) or (L,) with at least one number but is {shape}")
    if dtype.name not in types:
        raise OptionError(f"the array must hold {', '.join(types)} but holds {dtype}")
    pixels = math.prod(shape[:2])
    if pixels > max_pixels:
        raise TooLargeError(f"the array has {pixels} pixels; at most {max_pixels} are allowed")
    array = _numbers(data, header, "numbers")
    if dtype.kind == "f" and not np.isfinite(array).all():
        raise OptionError(f"the array must hold finite numbers but {np.count_nonzero(~np.isfinite(array))} are not")
    return np.ascontiguousarray(array, dtype.newbyteorder("="))


def is_npy(kind: str | None, content: bytes | memoryview) -> bool:
    """Return whether a file is ``.npy``, by its content type or its first bytes: few clients know the type."""
    return kind == CONTENT_TYPE or bytes(content[: len(_MAGIC)]) == _MAGIC


def npy_header(data: bytes) -> NpyHeader:
    """Read the header of a ``.npy`` file.

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
    return NpyHeader(dtype, shape, "F" if fortran else "C", stream.tell())


def to_npy(array: Array) -> bytes:
    """Encode an array as a ``.npy`` file."""
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def _numbers(data: bytes, header: NpyHeader, what: str) -> Array:
    """Return the array of a file, not copied; ``what`` names its bytes in the message."""
    needed, came = math.prod(header.shape) * header.dtype.itemsize, len(data) - header.start
    if came != needed:
        raise ImageError(f"the array's header promises {needed} bytes of {what} but {came} follow")
    return np.frombuffer(data, header.dtype, offset=header.start).reshape(header.shape, order=header.order)
