"""TIFF files: of any depth, layout and compression, read by tifffile."""

from __future__ import annotations

import io
import logging
from functools import cached_property
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scs.errors import ImageError, ScsError, UnsupportedImageError
from service.pictures import numbers
from service.pictures.colour_profile import to_srgb
from service.pictures.numbers import Numbers
from service.pictures.picture import Pixels, Size
from service.pictures.picture_file import PictureFile

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what is wrong with a file is said to who sent it

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR, _LAB = 0, 1, 2, 3, 5, 6, 8
_COLOURS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1, _CMYK: 4, _YCBCR: 3, _LAB: 3}  # samples of them
_MODES = {1: "L", 3: "RGB", 4: "CMYK"}
_SAMPLE_FORMATS = {1: "whole-number", 2: "signed", 3: "floating point", 4: "whole-number", 5: "complex", 6: "complex"}
_ASSOCIATED, _OPACITY = 1, 2  # kinds of further samples: opacity that colours are multiplied by, and opacity
_ORIENTATION, _INK_SET, _PROFILE, _DNG = 274, 332, 34675, 50706
_RAW, _OLD_JPEG, _JPEG = 1, (6,), 7


class TiffFile(PictureFile):
    """The first picture of a TIFF file.

    Args:
        data: its bytes, whose tags were found to be sound.

    Raises:
        UnsupportedImageError: it is of a variant that is not read; the message says which.
        Exception: whatever tifffile raises for a damaged file.
    """

    kind = "TIFF"

    def __init__(self, data: bytes) -> None:
        import tifffile  # as long to import as a small picture takes to be decoded

        self._data = data
        page: Any = tifffile.TiffFile(io.BytesIO(data)).pages[0]
        self._page = page
        self.size: Size = (page.imagewidth, page.imagelength)
        self._colours = self._check_kind()
        self.is_grey = self._page.photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO)
        agreed = numbers.has_agreed_range(self._page.dtype, self._page.bitspersample)
        self.holds_numbers = (self.is_grey or self._page.photometric == _RGB) and not agreed

    def read_numbers(self) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Read the samples as numbers, as the base class says."""
        samples = self._samples()[..., : self._colours]
        kept = numbers.valid(samples, self._no_data)
        lowest = samples.min(where=kept, initial=samples[kept].max()) if kept.any() else 0
        values = np.where(kept, samples, lowest).astype(np.float32)
        upright = _turned(values, self._orientation())
        valid: NDArray[np.bool_] = _turned(np.all(kept, axis=2), self._orientation())
        return (upright[..., 0] if self._colours == 1 else upright), valid

    def _decode(self, least: Size | None, grey: bool) -> Image.Image:
        page = self._page
        if page.photometric == _LAB or (page.photometric == _YCBCR and page.compression != _JPEG):
            return self._by_pillow()
        try:
            samples = self._samples()
        except ScsError:
            raise
        except Exception:
            if not self._is_plain:
                raise
            return self._by_pillow()  # libtiff forgives more, such as a last strip with more rows than there are
        colours, others = samples[..., : self._colours], samples[..., self._colours :]
        if page.photometric == _PALETTE:
            image = Image.fromarray(self._palette[samples[..., 0].astype(np.intp)])
        else:
            image = _image(self._eight_bits(colours))
        opacity = self._opacity(others)
        if opacity is not None and self._extra == _ASSOCIATED:
            image = _image(_divided(np.asarray(image).reshape(*opacity.shape, -1), opacity))
        converted = to_srgb(image, self._profile)
        if opacity is not None:
            converted.putalpha(Image.fromarray(opacity))
        return converted

    def _eight_bits(self, colours: Numbers) -> Pixels:
        bits, dtype = self._page.bitspersample, colours.dtype
        if numbers.has_agreed_range(dtype, bits):
            shades = numbers.to_8_bits(colours, bits)
        elif dtype.kind == "u" and int(colours.max(initial=0)) >> (bits - 8):
            shades = numbers.to_8_bits(colours, bits)  # its numbers are as wide as their type
        else:
            shades = numbers.to_greys(colours, self._no_data)
        return 255 - shades if self._page.photometric == _WHITE_IS_ZERO else shades

    def _opacity(self, others: Numbers) -> Pixels | None:
        if self._extra is None or not others.shape[2]:
            return None
        first = others[..., 0]
        if first.dtype.kind == "f":
            shades: Pixels = np.rint(np.nan_to_num(first).clip(0, 1) * 255).astype(np.uint8)
            return shades
        if first.dtype.kind == "i":
            return None
        return numbers.to_8_bits(first, int(self._page.bitspersample))

    @property
    def _is_plain(self) -> bool:
        page = self._page
        is_plain = page.photometric in (_BLACK_IS_ZERO, _RGB) and page.bitspersample == 8 and not page.extrasamples
        # Of raw strips Pillow does not look at the lengths: it would read what follows a short one.
        return is_plain and (page.compression != _RAW or len(page.dataoffsets) == 1)

    @property
    def _extra(self) -> int | None:
        """What the first further sample of a pixel means, where that is opacity."""
        kinds = self._page.extrasamples
        return int(kinds[0]) if kinds and int(kinds[0]) in (_ASSOCIATED, _OPACITY) else None

    @cached_property
    def _palette(self) -> Pixels:
        colours = np.asarray(self._page.colormap).T
        return (colours >> 8 if colours.max(initial=0) > 255 else colours).astype(np.uint8)

    @property
    def _profile(self) -> bytes | None:
        value = self._tag(_PROFILE)
        return bytes(value) if isinstance(value, bytes | bytearray) else None

    @property
    def _no_data(self) -> float | None:
        if "GDAL_NODATA" not in self._page.tags:
            return None
        try:
            return float(str(self._page.tags["GDAL_NODATA"].value).strip().strip("\0"))
        except ValueError:
            return None

    def _tag(self, number: int) -> Any:
        tag = self._page.tags.get(number)
        return None if tag is None else tag.value

    def _orientation(self) -> int:
        value = self._tag(_ORIENTATION)
        return int(value) if isinstance(value, int) else 1

    def _samples(self) -> Numbers:
        """Return all samples, ``(H, W, C)``."""
        page = self._page
        self._check_parts()
        array = np.asarray(page.asarray(maxworkers=1))
        if array.size != page.imagewidth * page.imagelength * page.samplesperpixel:
            raise ImageError("the TIFF image has fewer samples than its tags say")
        if page.planarconfig == 2 and page.samplesperpixel > 1:
            planes = array.reshape(page.samplesperpixel, page.imagelength, page.imagewidth)
            return np.ascontiguousarray(np.moveaxis(planes, 0, -1))
        return array.reshape(page.imagelength, page.imagewidth, page.samplesperpixel)

    def _by_pillow(self) -> Image.Image:
        """Decode what has colours that the C library converts, such as YCbCr with fewer samples of colour."""
        image = Image.open(io.BytesIO(self._data), formats=("TIFF",))
        exif = image.getexif()
        exif[_ORIENTATION] = 1  # Pillow would turn it
        image.load()
        return to_srgb(image if image.mode == "LAB" else image.convert("RGB"), self._profile)

    def _check_kind(self) -> int:
        """Refuse what is not read; return how many samples of a pixel are colours."""
        import tifffile

        page = self._page
        if _DNG in page.tags:
            raise UnsupportedImageError("a raw photograph (DNG) came; send it developed, as JPEG, PNG or TIFF")
        photometric, bits = int(page.photometric), page.bitspersample
        if photometric not in _COLOURS:
            self._refuse(f"colours of the kind {_word(page.photometric)}")
        if isinstance(bits, tuple):
            self._refuse(f"samples of {', '.join(map(str, bits))} bits in one pixel")
        if int(page.compression) not in _OLD_JPEG and page.compression not in tifffile.TIFF.DECOMPRESSORS:
            self._refuse(f"compression {_word(page.compression)}")
        sample_format = page.sampleformat if isinstance(page.sampleformat, int) else 0
        if page.dtype is None or page.dtype.kind not in "biuf":
            name = _SAMPLE_FORMATS.get(int(sample_format), "unknown")
            self._refuse(f"{bits}-bit {name} samples")
        if photometric in (_YCBCR, _LAB, _PALETTE, _CMYK) and page.dtype.kind not in "bu":
            self._refuse(f"{_word(page.photometric)} of {bits}-bit {_SAMPLE_FORMATS[int(sample_format)]} samples")
        if photometric in (_YCBCR, _LAB) and bits != 8:
            self._refuse(f"{_word(page.photometric)} of {bits}-bit samples")
        if photometric == _CMYK and self._tag(_INK_SET) not in (None, 1):
            self._refuse("inks other than CMYK")
        if page.samplesperpixel < _COLOURS[photometric]:
            raise ImageError(f"a TIFF pixel of {_word(page.photometric)} has {_COLOURS[photometric]} samples or more")
        if page.imagedepth != 1:
            self._refuse(f"{page.imagedepth} layers of depth")
        return _COLOURS[photometric]

    def _refuse(self, what: str) -> NoReturn:
        raise UnsupportedImageError(f"TIFF with {what} is not read; send it as PNG, or as TIFF in 8 or 16 bits")

    def _check_parts(self) -> None:
        """Refuse a file that does not hold every strip or tile that it has."""
        page = self._page
        starts, lengths = page.dataoffsets, page.databytecounts
        planes = page.samplesperpixel if page.planarconfig == 2 else 1
        across = -(-page.imagewidth // page.tilewidth) if page.is_tiled else 1
        down = -(-page.imagelength // (page.tilelength if page.is_tiled else max(1, page.rowsperstrip)))
        ends = (start + length for start, length in zip(starts, lengths, strict=False))
        if min(len(starts), len(lengths)) < across * down * planes or max(ends, default=0) > len(self._data):
            raise ImageError("the TIFF image is truncated: parts of it lie behind its end")


def _image(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels, _MODES[pixels.shape[2]])


def _divided(colours: Pixels, opacity: Pixels) -> Pixels:
    """Undo the multiplication of colours by opacity."""
    share = np.maximum(opacity, 1).astype(np.float32)[..., None] / 255
    divided: Pixels = np.rint((colours / share).clip(0, 255)).astype(np.uint8)
    return divided


def _turned(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn an array ``(H, W, …)`` upright by its EXIF orientation."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)


def _word(value: Any) -> str:
    return getattr(value, "name", str(value)).replace("_", " ")
