"""What a picture file costs to be opened and decoded, by its own tags, before any decoder sees it.

A decoder takes memory for what the tags say, and time for what it has to read again and again. Both are bounded here,
by the pixels that are allowed and by the file's own bytes.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from scs.errors import ImageError, TooLargeError, UnsupportedImageError
from service.pictures.directory import Directory
from service.pictures.formats import format_of
from service.pictures.picture import check_pixels

MOST_SCANS = 64  # of a JPEG; the usual progressive one has ten
_FULL_SCANS = 16  # of a JPEG with as many pixels as are allowed
MOST_SEGMENTS = 2**12  # of a JPEG, and of a GIF before its first picture
MOST_CHUNKS = 2**16  # of a PNG
MOST_RLE_BYTES = 2**22  # of a BMP: Pillow decodes them in Python
_BYTES_A_PIXEL = 8  # of a TIFF, at most: four channels of 16 bits, or one number of 64
_JUNK = 2**12  # bytes between two segments of a JPEG

_LZMA = 34925  # its header says how much memory it takes, up to 4 GiB
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _SAMPLES, _TILE_WIDTH, _TILE_HEIGHT = 256, 257, 258, 259, 277, 322, 323

_EXIF = b"Exif\0\0"
_MPF = b"MPF\0"
_FRAME = struct.Struct(">BHH")  # bits of a sample, height, width


def check_bounds(data: bytes, max_pixels: int) -> None:
    """Refuse a picture file whose tags ask for more than its pixels and bytes are worth.

    Raises:
        TooLargeError: more pixels than ``max_pixels``, in the picture or in a part of it that is decoded at once, or
            more passes over them.
        ImageError: damaged, or of more parts than any picture has.
    """
    check = _CHECKS.get(format_of(data) or "")
    if check is not None:
        check(data, max_pixels)


def is_sound_exif(block: bytes) -> bool:
    """Return whether an EXIF block, with or without its name, can be read in a time and memory that grow with it."""
    return Directory(block.removeprefix(_EXIF)).is_sound


def _check_tiff(data: bytes, max_pixels: int) -> None:
    tags = Directory(data)
    if not tags.is_sound:
        raise ImageError("the TIFF image has tags that its bytes cannot hold")
    if _LZMA in tags.sizes(_COMPRESSION):
        raise ImageError("TIFF images compressed by LZMA are not read")
    largest = [max(tags.sizes(number), default=0) for number in (_WIDTH, _HEIGHT, _TILE_WIDTH, _TILE_HEIGHT)]
    check_pixels("the image", (largest[0], largest[1]), max_pixels)
    check_pixels("a tile of the image", (largest[2], largest[3]), max_pixels)
    bits = max(tags.sizes(_BITS), default=1) * max(tags.sizes(_SAMPLES), default=1)
    pixels = max(largest[0] * largest[1], largest[2] * largest[3])
    if pixels * bits > 8 * _BYTES_A_PIXEL * max_pixels:
        raise TooLargeError(
            f"the image has {pixels * bits // 8} bytes of pixels; at most {_BYTES_A_PIXEL * max_pixels} are allowed"
        )


class JpegSegment(NamedTuple):
    """A segment of a JPEG: its marker, and where what follows its length begins and ends in the file."""

    marker: int
    start: int
    end: int


_END, _SCAN, _EXIF_SEGMENT, _MPF_SEGMENT = 0xD9, 0xDA, 0xE1, 0xE2
_BARE = frozenset((0x00, 0x01, *range(0xD0, 0xD9)))  # markers that nothing follows, and no marker
FRAMES = frozenset((*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)))
_NEXT_MARKER = re.compile(rb"\xff[^\0\xd0-\xd7\xff]")


def _check_jpeg(data: bytes, max_pixels: int) -> None:
    scans = pixels = 0
    exif = bytearray()
    for marker, start, end in jpeg_segments(data):
        if marker == _SCAN:
            scans += 1
            if scans > MOST_SCANS or scans * pixels > _FULL_SCANS * max_pixels:
                raise _too_many_scans(scans, max_pixels)
        elif marker == _EXIF_SEGMENT and data.startswith(_EXIF, start):
            exif += data[start + len(_EXIF) : end]  # joined, as Pillow joins them
        elif marker == _MPF_SEGMENT and data.startswith(_MPF, start):
            _check_directory(data[start + len(_MPF) : end])
        elif marker in FRAMES and end - start >= 5:
            bits, *sides = _FRAME.unpack_from(data, start)
            if bits != 8:
                raise UnsupportedImageError(f"JPEG with {bits}-bit samples is not read; send it with 8 bits, or as PNG")
            size = sides[1], sides[0]
            check_pixels("the image", size, max_pixels)
            pixels = max(pixels, size[0] * size[1])
            if scans * pixels > _FULL_SCANS * max_pixels:
                raise _too_many_scans(scans, max_pixels)
    _check_directory(bytes(exif))


def _too_many_scans(scans: int, max_pixels: int) -> TooLargeError:
    return TooLargeError(
        f"the JPEG image has {scans} scans or more; at most {MOST_SCANS} are decoded, and no more than "
        f"{_FULL_SCANS * max_pixels} pixels in all of them"
    )


def _check_directory(block: bytes) -> None:
    if block and not Directory(block).is_sound:
        raise ImageError("the JPEG image has tags that its bytes cannot hold")


def jpeg_segments(data: bytes) -> Iterator[JpegSegment]:
    """Yield the segments of a JPEG up to its end; what else may lie in the file, such as a film, is not looked at."""
    place, size = 2, len(data)
    for _ in range(MOST_SEGMENTS):
        start = data.find(b"\xff", place, place + _JUNK)
        if start < 0 or start + 1 >= size:
            return
        marker = data[start + 1]
        if marker == 0xFF:
            place = start + 1
        elif marker in _BARE:
            place = start + 2
        elif marker == _END:
            return
        else:
            place = start + 2 + max(2, int.from_bytes(data[start + 2 : start + 4]))
            yield JpegSegment(marker, start + 4, min(place, size))
            if marker == _SCAN:
                following = _NEXT_MARKER.search(data, place)
                place = size if following is None else following.start()
    raise ImageError(f"a JPEG image may have {MOST_SEGMENTS} segments; more came")


def check_png_size(data: bytes, max_pixels: int) -> None:
    """Refuse a PNG by the size in its header, which Pillow tells only once it has seen that pixels follow.

    Raises:
        TooLargeError: more pixels than ``max_pixels``.
    """
    check_pixels("the image", (int.from_bytes(data[16:20]), int.from_bytes(data[20:24])), max_pixels)


def _check_png(data: bytes, max_pixels: int) -> None:
    if data[12:16] == b"IHDR":
        check_png_size(data, max_pixels)
    place = 8
    for _ in range(MOST_CHUNKS):
        if place >= len(data):
            return
        place += 12 + int.from_bytes(data[place : place + 4])
    raise ImageError(f"a PNG image may have {MOST_CHUNKS} chunks; more came")


def _check_webp(data: bytes, max_pixels: int) -> None:
    kind, body = data[12:16], data[20:]
    if kind == b"VP8X":
        size = 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    elif kind == b"VP8L":
        packed = int.from_bytes(body[1:5], "little")
        size = 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
    else:
        size = int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF
    check_pixels("the image", size, max_pixels)


_EXTENSION, _PICTURE, _TRAILER = b"!,;"


def _check_gif(data: bytes, max_pixels: int) -> None:
    place, inside = 13 + _palette(data[10:11]), False
    for _ in range(MOST_SEGMENTS):
        if place >= len(data):
            return
        byte = data[place]
        if inside:
            inside, place = byte > 0, place + 1 + byte
        elif byte == _EXTENSION:
            inside, place = True, place + 2
        elif byte == _PICTURE:
            left, top, width, height = (int.from_bytes(data[place + i : place + i + 2], "little") for i in (1, 3, 5, 7))
            return check_pixels("the image", (left + width, top + height), max_pixels)
        elif byte == _TRAILER:
            return
        else:
            place += 1
    raise ImageError(f"a GIF image may have {MOST_SEGMENTS} blocks before its picture; more came")


def _palette(flags: bytes) -> int:
    return 3 << (flags[0] & 7) + 1 if flags and flags[0] & 0x80 else 0


def _check_bmp(data: bytes, max_pixels: int) -> None:
    compression = int.from_bytes(data[30:34], "little")
    if compression in (1, 2) and len(data) > MOST_RLE_BYTES:
        raise TooLargeError(f"a BMP image with runs may have {MOST_RLE_BYTES} bytes; {len(data)} came")


_CHECKS: dict[str, Callable[[bytes, int], None]] = {
    "JPEG": _check_jpeg,
    "PNG": _check_png,
    "WEBP": _check_webp,
    "GIF": _check_gif,
    "BMP": _check_bmp,
    "TIFF": _check_tiff,
}
