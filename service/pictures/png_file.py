"""PNG files of every kind, read by libpng without the chunks that do not matter to what they show."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image

from scs.errors import ImageError, UnsupportedImageError
from service.pictures.bounds import is_sound_exif
from service.pictures.colour_profile import to_srgb
from service.pictures.picture import Size
from service.pictures.picture_file import PictureFile

BEGINNING = b"\x89PNG\r\n\x1a\n"
_GREY, _GREY_AND_OPACITY = 0, 4
_CRITICAL = (b"IHDR", b"PLTE", b"IDAT")
_KEPT = (*_CRITICAL, b"tRNS")
_END = b"\0\0\0\0IEND\xaeB`\x82"
_MOST_TEXT = 2**23  # bytes of a profile or of EXIF, once they are inflated
_EXIF_TEXT = b"Raw profile type exif\0"
_HEXADECIMAL = re.compile(rb"\n\s*exif\n\s*\d+\n([0-9a-fA-F\n]+)")
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


class _Chunk(NamedTuple):
    name: bytes
    start: int  # of its length
    end: int  # behind its checksum


class PngFile(PictureFile):
    """A PNG file.

    A chunk whose checksum is wrong is ignored, as browsers do, where the picture can be shown without it. The file may
    end before its end marker, but not before its pixels.

    Args:
        data: its bytes, whose chunks were found to be few enough.

    Raises:
        ImageError: its header is damaged, or a chunk that it needs is cut off or has a wrong checksum.
    """

    kind = "PNG"

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._chunks = list(self._read())
        if not self._chunks or self._chunks[0].name != b"IHDR" or self._chunks[0].end != 33:
            if data[12:16] == b"CgBI":
                raise UnsupportedImageError("a PNG in Apple's own variant (CgBI) came; send it as ordinary PNG")
            raise ImageError("the image's header is truncated or damaged")
        width, height = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
        self.size: Size = (width, height)
        self.is_grey = data[25] in (_GREY, _GREY_AND_OPACITY)

    def _read(self) -> Iterator[_Chunk]:
        data, place = self._data, len(BEGINNING)
        while place + 12 <= len(data):
            end = place + 12 + int.from_bytes(data[place : place + 4])
            name = data[place + 4 : place + 8]
            whole = end <= len(data) and zlib.crc32(memoryview(data)[place + 4 : end - 4]) == int.from_bytes(
                data[end - 4 : end]
            )
            if whole:
                yield _Chunk(name, place, end)
            elif name in _CRITICAL:
                raise ImageError(f"the PNG image is truncated or damaged in its chunk {name.decode()}")
            if name == b"IEND":
                return
            place = end

    def _decode(self, least: Size | None, grey: bool) -> Image.Image:
        import imagecodecs

        data = self._data
        if all(chunk.name != b"IDAT" for chunk in self._chunks):
            raise ImageError("the PNG image is truncated or damaged: it has no pixels")
        pieces = (data[chunk.start : chunk.end] for chunk in self._chunks if chunk.name in _KEPT)
        pixels = imagecodecs.png_decode(b"".join((BEGINNING, *pieces, _END)))
        shades = (pixels >> 8).astype(np.uint8) if pixels.dtype == np.uint16 else pixels
        shades = shades.reshape(*pixels.shape[:2], -1)
        image = Image.fromarray(shades[..., 0] if shades.shape[2] == 1 else shades, _MODES[shades.shape[2]])
        return to_srgb(image, self._profile())

    def _profile(self) -> bytes | None:
        body = self._body(b"iCCP")
        if body is None:
            return None
        _, _, packed = body.partition(b"\0")
        return _inflated(packed[1:])

    def _orientation(self) -> int:
        block = self._body(b"eXIf") or self._exif_as_text()
        if not block or not is_sound_exif(block):
            return 1
        try:
            exif = Image.Exif()
            exif.load(block)
            return int(exif.get(ExifTags.Base.Orientation, 1))
        except Exception:  # a picture that can be seen is not refused for its metadata
            return 1

    def _exif_as_text(self) -> bytes:
        """Return the EXIF block as old programs write it: hexadecimal, in a chunk of text."""
        for chunk in self._chunks:
            body = self._data[chunk.start + 8 : chunk.end - 4]
            if chunk.name in (b"tEXt", b"zTXt") and body.startswith(_EXIF_TEXT):
                text = body[len(_EXIF_TEXT) :]
                found = _HEXADECIMAL.match(text if chunk.name == b"tEXt" else _inflated(text[1:]) or b"")
                digits = found[1].replace(b"\n", b"") if found else b""
                return bytes.fromhex(digits[: len(digits) // 2 * 2].decode())
        return b""

    def _body(self, name: bytes) -> bytes | None:
        return next((self._data[each.start + 8 : each.end - 4] for each in self._chunks if each.name == name), None)


def _inflated(packed: bytes) -> bytes | None:
    try:
        return zlib.decompressobj().decompress(packed, _MOST_TEXT)
    except zlib.error:
        return None
