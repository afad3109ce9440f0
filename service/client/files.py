"""What a caller may give as a picture, and the file that it is sent as."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from scs.errors import OptionError
from service.api.files import DIGEST_PATTERN, NamedBytes

_NPY = b"\x93NUMPY"
_PNG_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})  # of Pillow, that a PNG holds as they are


@runtime_checkable
class PilPicture(Protocol):
    """A picture of Pillow, by what is needed of it; Pillow itself is not imported."""

    @property
    def mode(self) -> str:
        """Kind of its pixels."""

    def save(self, fp: Any, format: str | None = None, **options: Any) -> None:
        """Encode it."""


@runtime_checkable
class OpenFile(Protocol):
    """A file that is open for reading in binary mode."""

    def read(self) -> bytes:
        """Read all of it."""


Image: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | NDArray[Any] | PilPicture | OpenFile


def to_file(image: Image, name: str = "picture") -> NamedBytes:
    """Return a picture as the file that it is sent as.

    Args:
        image: a path; the bytes of an encoded picture or of a ``.npy`` file; a file open in binary mode; an array
            ``(H, W)``, ``(H, W, C)`` or ``(L,)``; a picture of Pillow, whose pixels are sent as they are; or
            ``sha256:`` and the digest of a picture that was sent before.
        name: what the answer calls it where it has no name of its own.

    Raises:
        OptionError: something else came.
        OSError: the file cannot be read.
    """
    if isinstance(image, str) and re.fullmatch(DIGEST_PATTERN, image):
        return NamedBytes(name, b"", digest=image.partition(":")[2])
    if isinstance(image, (str, os.PathLike)):
        path = Path(image)
        return _named(os.fsencode(path.name).decode("utf-8", "backslashreplace"), path.read_bytes())
    if isinstance(image, (bytes, bytearray, memoryview)):
        return _named(name, bytes(image))
    if isinstance(image, PilPicture):
        return NamedBytes(name, _encoded(image))
    if isinstance(image, OpenFile):
        return _named(name, _read(image))
    if hasattr(image, "__array__"):
        return NamedBytes(name, _npy(np.asarray(image)), is_npy=True)
    raise OptionError(
        "a picture is a path, bytes, a file open in binary mode, an array, a picture of Pillow, or 'sha256:' and a "
        f"digest; {type(image).__name__} came"
    )


def _named(name: str, content: bytes) -> NamedBytes:
    return NamedBytes(name, content, is_npy=content.startswith(_NPY))


def _read(file: OpenFile) -> bytes:
    content = file.read()
    if not isinstance(content, bytes):
        raise OptionError(f"a file that is sent is open in binary mode; reading it gave {type(content).__name__}")
    return content


def _encoded(picture: PilPicture) -> bytes:
    """Encode the pixels as they are: not turned by EXIF, since places in the answer are places in the same picture."""
    buffer = io.BytesIO()
    if picture.mode in _PNG_MODES:
        picture.save(buffer, "PNG", exif=b"", compress_level=1)
    else:
        picture.save(buffer, "TIFF")
    return buffer.getvalue()


def _npy(array: NDArray[Any]) -> bytes:
    if array.dtype.hasobject:
        raise OptionError(f"an array that is sent holds numbers; it holds {array.dtype}")
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
