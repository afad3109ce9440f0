"""BMP files with an opacity whose pixels are bits of a number, as masks say: Pillow reads 1555 without the opacity."""

from __future__ import annotations

import numpy as np
from PIL import Image

from service.pictures.picture import Pixels

_MASKS, _MASKS_AND_OPACITY = 3, 6  # kinds of compression
_MASKS_AT = 54  # behind the smallest header, and at the same place within larger ones
_LEAST_WITH_OPACITY = 56  # bytes of a header that has a mask of the opacity


def masks_of(data: bytes) -> tuple[int, int, int, int] | None:
    """Return the masks of red, green, blue and opacity of a BMP with an opacity; None for any other BMP."""
    header, compression = _number(data, 14), _number(data, 30)
    if compression not in (_MASKS, _MASKS_AND_OPACITY) or _number(data, 28, 2) not in (16, 32) or len(data) < 70:
        return None
    if header < _LEAST_WITH_OPACITY and compression != _MASKS_AND_OPACITY:
        return None
    red, green, blue, opacity = (_number(data, _MASKS_AT + 4 * i) for i in range(4))
    return (red, green, blue, opacity) if opacity else None


def decode_masked(data: bytes, masks: tuple[int, int, int, int]) -> Image.Image:
    """Decode a BMP of 16 or 32 bits a pixel to RGBA.

    Raises:
        ValueError: there are fewer bytes than its size needs, or a mask is none.
    """
    width, height, size = _number(data, 18), _number(data, 22), _number(data, 28, 2) // 8
    rows = 2**32 - height if height >> 31 else height  # negative: from the top
    stride = -(-width * size // 4) * 4
    raw = np.frombuffer(data, np.uint8, rows * stride, _number(data, 10)).reshape(rows, stride)
    values = np.ascontiguousarray(raw[:, : width * size]).view(f"<u{size}")
    pixels = np.stack([_channel(values, mask) for mask in masks], axis=2)
    return Image.fromarray(pixels if height >> 31 else np.ascontiguousarray(pixels[::-1]), "RGBA")


def _channel(values: np.ndarray[tuple[int, ...], np.dtype[np.unsignedinteger]], mask: int) -> Pixels:
    if not mask:
        return np.zeros(values.shape, np.uint8)
    shift = (mask & -mask).bit_length() - 1
    most = mask >> shift
    numbers = (values.astype(np.uint32) & np.uint32(mask)) >> np.uint32(shift)
    shades: Pixels = np.rint(numbers * (255 / most)).astype(np.uint8)
    return shades


def _number(data: bytes, place: int, length: int = 4) -> int:
    return int.from_bytes(data[place : place + length], "little")
