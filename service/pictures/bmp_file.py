"""BMP files whose pixels are bits of a number, as masks say: 1555, 4444 and any other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.pictures.picture import Pixels, Size
from service.pictures.picture_file import PictureFile

_MASKS, _MASKS_AND_OPACITY = 3, 6  # kinds of compression
_MASKS_AT = 54  # behind the smallest header, and at the same place within larger ones
_LEAST_HEADER, _WITH_OPACITY = 40, 56  # bytes of a header; those of one that has a mask of the opacity
_LEAST_BYTES = 70


def has_masks(data: bytes) -> bool:
    """Return whether a BMP's pixels are bits of a number, as masks say."""
    is_masked = _number(data, 30) in (_MASKS, _MASKS_AND_OPACITY) and _number(data, 28, 2) in (16, 32)
    return is_masked and _number(data, 14) >= _LEAST_HEADER and len(data) >= _LEAST_BYTES


class MaskedBmpFile(PictureFile):
    """A BMP with masks, which Pillow reads in a few layouts only, and 1555 without its opacity.

    Args:
        data: its bytes, for which ``has_masks`` is true.
    """

    kind = "BMP"
    is_grey = False

    def __init__(self, data: bytes) -> None:
        self._data = data
        height = _number(data, 22)
        self._is_from_the_top = bool(height >> 31)  # it is negative then
        self.size: Size = (_number(data, 18), 2**32 - height if self._is_from_the_top else height)

    def _decode(self, least: Size | None, grey: bool) -> Image.Image:
        data, (width, height) = self._data, self.size
        length = _number(data, 28, 2) // 8
        stride = -(-width * length // 4) * 4
        raw = np.frombuffer(data, np.uint8, height * stride, _number(data, 10)).reshape(height, stride)
        values = np.ascontiguousarray(raw[:, : width * length]).view(f"<u{length}")
        pixels = np.stack([_channel(values, mask) for mask in self._masks()], axis=2)
        return Image.fromarray(pixels if self._is_from_the_top else np.ascontiguousarray(pixels[::-1]))

    def _masks(self) -> list[int]:
        """Return the masks of red, green and blue, and of the opacity where there is one."""
        masks = [_number(self._data, _MASKS_AT + 4 * i) for i in range(4)]
        has_opacity = _number(self._data, 14) >= _WITH_OPACITY or _number(self._data, 30) == _MASKS_AND_OPACITY
        return masks if has_opacity and masks[3] else masks[:3]

    def _orientation(self) -> int:
        return 1


def _channel(values: NDArray[np.unsignedinteger], mask: int) -> Pixels:
    if not mask:
        return np.zeros(values.shape, np.uint8)
    shift = (mask & -mask).bit_length() - 1
    most = mask >> shift
    numbers = (values.astype(np.uint32) & np.uint32(mask)) >> np.uint32(shift)
    shades: Pixels = np.rint(numbers * (255 / most)).astype(np.uint8)
    return shades


def _number(data: bytes, place: int, length: int = 4) -> int:
    return int.from_bytes(data[place : place + length], "little")
