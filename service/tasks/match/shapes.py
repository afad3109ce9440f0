"""The shapes of a match's files, by their headers, and the bound of what they take in memory once they are decoded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scs.errors import ShapeError, TooLargeError
from service.api.files import MatchUpload, NamedBytes
from service.pictures.errors import error_about
from service.pictures.header import open_picture
from service.pictures.npy import Array, npy_header
from service.tasks.match.pictures import named

Shape = tuple[int, int, int]  # rows, columns, channels

MOST_CHANNELS = 4096
_MOST_BYTES = 16  # of all files together, for each pixel that one may have
_WEIGHT_BYTES = 8  # of a pixel of a mask that is a picture


@dataclass(frozen=True)
class MatchShapes:
    """The shapes of a match, a signal being one row.

    Attributes:
        scene: where to look.
        templates: what to look for; none where that is a box of the reference.
        masked: whether a mask says which pixels of a template count, for each.
        reference: that a box is cut out of.
        double: whether the numbers are of 64 bits.
    """

    scene: Shape
    templates: list[Shape]
    masked: list[bool]
    reference: Shape | None = None
    double: bool = False

    @classmethod
    def of(
        cls, scene: Array, templates: Sequence[Array], masks: Sequence[Array | None], reference: Array | None = None
    ) -> MatchShapes:
        """Return the shapes of arrays."""
        return cls(
            scene=_shape(scene.shape),
            templates=[_shape(template.shape) for template in templates],
            masked=[mask is not None for mask in masks],
            reference=None if reference is None else _shape(reference.shape),
            double=scene.dtype.itemsize == 8,
        )


def read_shapes(upload: MatchUpload, max_pixels: int) -> MatchShapes:
    """Read the shapes of a match's files from their headers, and refuse what would take too much memory together.

    A template's transparency is not known yet, and does not count as a mask.

    Raises:
        ImageError, UnsupportedImageError, TooLargeError: a file that cannot or may not be read, or all together.
        ShapeError: an array that is no picture and no signal, or of more channels than are compared.
    """
    scene = _header("scene", upload.scene, max_pixels)
    templates = [_header(name, file, max_pixels) for name, file in named("template", upload.templates)]
    masks = [_header(name, file, max_pixels) for name, file in named("mask", upload.masks)]
    reference = None if upload.reference is None else _header("reference", upload.reference, max_pixels)
    seen = [scene, *templates, *([] if reference is None else [reference])]
    channels = max(each.shape[2] for each in seen)
    # Grey things among colours are repeated.
    least = 3 if channels > 1 else 1
    held = sum(math.prod(each.shape[:2]) * max(each.shape[2], least) * each.itemsize for each in seen)
    held += sum(math.prod(mask.shape) * mask.weight_bytes for mask in masks)
    if held > _MOST_BYTES * max_pixels:
        raise TooLargeError(
            f"the files of this match take {held} bytes once they are decoded; at most {_MOST_BYTES * max_pixels} are "
            "allowed: send fewer or smaller templates and masks"
        )
    return MatchShapes(
        scene=(*scene.shape[:2], channels),
        templates=[(*each.shape[:2], channels) for each in templates],
        masked=[bool(masks)] * (len(templates) or 1),
        reference=None if reference is None else (*reference.shape[:2], channels),
        double=scene.itemsize == 8,
    )


@dataclass(frozen=True)
class _Header:
    shape: Shape
    itemsize: int
    weight_bytes: int


def _header(name: str, file: NamedBytes, max_pixels: int) -> _Header:
    with error_about(name):
        if not file.is_npy:
            opened = open_picture(file.content, max_pixels)
            (width, height), channels = opened.size, 1 if opened.is_grey else 3
            return _Header((height, width, channels), 4 if opened.holds_numbers else 1, _WEIGHT_BYTES)
        dtype, shape, *_ = npy_header(file.content)
        if len(shape) not in (1, 2, 3) or min(shape) < 1:
            raise ShapeError(f"the array must be (H, W), (H, W, C) or (L,) with at least one number but is {shape}")
        if len(shape) == 3 and shape[2] > MOST_CHANNELS:
            raise ShapeError(f"an array may have {MOST_CHANNELS} channels; {shape[2]} came")
        return _Header(_shape(shape), dtype.itemsize, dtype.itemsize)


def _shape(shape: tuple[int, ...]) -> Shape:
    if len(shape) == 1:
        return 1, shape[0], 1
    return shape[0], shape[1], shape[2] if len(shape) == 3 else 1
