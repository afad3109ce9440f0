"""Decoding of a match's files to arrays: pictures as grey or RGB, arrays as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from service.api.files import MatchUpload, NamedBytes
from service.pictures.decode import decode_cutout, decode_image, decode_mask
from service.pictures.errors import error_about
from service.pictures.header import is_grey, open_picture
from service.pictures.npy import Array, npy_header, read_array

# Numbers of other types than uint8, uint16, float32 and float64 become one of these; see scs.matching.arrays.
NUMBERS = (
    *("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"),
    *("float16", "float32", "float64"),
)
_WEIGHTS = NUMBERS


@dataclass(frozen=True, eq=False)
class MatchPictures:
    """The arrays of a match, ``(H, W, C)``, ``(H, W)`` or ``(L,)``, and a mask or None for each thing to look for."""

    scene: Array
    templates: list[Array]
    masks: list[Array | None]
    reference: Array | None


def decode_pictures(upload: MatchUpload, max_pixels: int, transparency: bool) -> MatchPictures:
    """Decode the files of a match.

    Pictures are read as RGB, or as grey where nothing that came has colours. Arrays are taken as they are, but for
    those of one channel among things of three: it is repeated.

    Args:
        upload: the files.
        max_pixels: most pixels of each.
        transparency: whether a template's own transparency becomes its mask where no mask came; else it is laid over
            white, as in every other picture.

    Raises:
        ImageError, UnsupportedImageError, TooLargeError: a file that cannot or may not be read.
        ShapeError: an array that is no picture and no signal.
        OptionError: an array of another type, or with numbers that are not finite.
    """
    templates = named("template", upload.templates)
    most = _most_channels(upload, max_pixels)
    channels = 1 if most == 1 else 3

    def read(name: str, file: NamedBytes) -> Array:
        with error_about(name):
            if file.is_npy:
                return _repeated(read_array(file.content, NUMBERS, max_pixels), most)
            numbers = _numbers(file, max_pixels)
            if numbers is not None:
                return _repeated(numbers[0], most)
            return decode_image(file.content, channels=channels, max_pixels=max_pixels).pixels

    def cut_out(name: str, file: NamedBytes) -> tuple[Array, Array | None]:
        if file.is_npy or not transparency or upload.masks:
            return read(name, file), None
        with error_about(name):
            numbers = _numbers(file, max_pixels)
            if numbers is not None:
                values, valid = numbers
                return _repeated(values, most), None if valid.all() else valid.astype(np.float32)
            picture, opacity = decode_cutout(file.content, channels=channels, max_pixels=max_pixels)
        return picture.pixels, None if opacity is None else opacity.astype(np.float32) / 255

    cutouts = [cut_out(name, file) for name, file in templates]
    masks: list[Array | None] = [_mask(name, file, max_pixels) for name, file in named("mask", upload.masks)]
    if len(masks) == 1:
        masks *= len(templates) or 1
    scene = read("scene", upload.scene)
    return MatchPictures(
        scene=scene,
        templates=[pixels for pixels, _ in cutouts],
        masks=masks or [opacity for _, opacity in cutouts] or [None],
        reference=_reference(upload, scene, read),
    )


def _reference(upload: MatchUpload, scene: Array, read: Callable[[str, NamedBytes], Array]) -> Array | None:
    if upload.reference is None or upload.reference is upload.scene:
        return None if upload.reference is None else scene
    return read("reference", upload.reference)


def _numbers(file: NamedBytes, max_pixels: int) -> tuple[Array, Array] | None:
    """Read a picture of numbers without an agreed range, and where they are valid; None for any other picture.

    They are compared as they are: as greys, each file would be stretched by its own least and largest.
    """
    opened = open_picture(file.content, max_pixels)
    return opened.read_numbers() if opened.holds_numbers else None


def _mask(name: str, file: NamedBytes, max_pixels: int) -> Array:
    """Weights of a template's pixels; a picture's brightest pixel counts as 1, black as 0."""
    with error_about(name):
        if file.is_npy:
            return read_array(file.content, _WEIGHTS, max_pixels)
        return decode_mask(file.content, max_pixels)


def _most_channels(upload: MatchUpload, max_pixels: int) -> int:
    """Channels of the picture or array that has most of them, masks aside."""
    seen = [("scene", upload.scene), *named("template", upload.templates)]
    seen += [("reference", upload.reference)] if upload.reference else []
    return max(_channels(name, file, max_pixels) for name, file in seen)


def _channels(name: str, file: NamedBytes, max_pixels: int) -> int:
    with error_about(name):
        if file.is_npy:
            shape = npy_header(file.content).shape
            return shape[2] if len(shape) == 3 else 1
        return 1 if is_grey(file.content, max_pixels) else 3


def _repeated(array: Array, channels: int) -> Array:
    if channels != 3 or array.ndim == 1 or array.shape[2:] not in ((), (1,)):
        return array
    return np.repeat(array.reshape(*array.shape[:2], 1), 3, axis=2)


def named(what: str, files: Sequence[NamedBytes]) -> list[tuple[str, NamedBytes]]:
    """Pair files with the names that error messages give them."""
    if len(files) == 1:
        return [(what, files[0])]
    return [(f"{what} {number} of {len(files)}, '{file.name[:60]}'", file) for number, file in enumerate(files, 1)]
