"""A picture file whose header was read, and whose pixels may be decoded."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scs.errors import ImageError, ScsError
from service.pictures.picture import Size

_TURNS = {  # EXIF orientation to what turns the picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = (5, 6, 7, 8)  # the orientations in which width and height change places


class PictureFile(ABC):
    """A picture file, opened: its size is known, and no pixel is decoded.

    Attributes:
        kind: its format, for messages.
        size: (width, height) as it is stored.
        is_grey: whether it has no colours.
        holds_numbers: whether its samples have no agreed range from black to white: floats, signed numbers, wide ones.
    """

    kind: str
    size: Size
    is_grey: bool
    holds_numbers: bool = False
    _turn: int = 1  # its orientation, once it was decoded

    def load(self, least: Size | None = None, grey: bool = False) -> Image.Image:
        """Decode the picture, upright, in sRGB, of mode L, LA, RGB or RGBA.

        Args:
            least: (width, height) down to which it may be decoded smaller than it is, where that takes less time.
            grey: whether it will be made grey, so that colours need not be decoded.

        Raises:
            ImageError: it is damaged, or of a variant that is not read.
        """
        try:
            image = self._decode(least, grey)
        except ScsError:
            raise
        except Exception as error:  # on damaged bytes decoders raise whatever they stumble over
            message = f"the {self.kind} image is truncated, damaged or of a variant that is not read here"
            raise ImageError(message) from error
        self._turn = self._orientation()
        return image.transpose(_TURNS[self._turn]) if self._turn in _TURNS else image

    def read_numbers(self) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Read samples without an agreed range as they are, upright, where the file holds such numbers.

        Returns:
            Numbers ``(H, W)`` or ``(H, W, 3)``, the least of them where one is missing, and ``(H, W)``, where none is.

        Raises:
            ImageError: it is damaged, or of a kind that holds no such numbers.
        """
        raise ImageError(f"numbers without an agreed range were needed; the {self.kind} image holds none")

    @property
    def upright_size(self) -> Size:
        """(width, height) once the picture is upright; known only after it was loaded."""
        return self.size[::-1] if self._turn in _SIDEWAYS else self.size

    @abstractmethod
    def _decode(self, least: Size | None, grey: bool) -> Image.Image:
        """Decode the picture as it is stored, in sRGB."""

    @abstractmethod
    def _orientation(self) -> int:
        """Return its EXIF orientation, called after it was decoded; 1 where it has none that can be read."""
