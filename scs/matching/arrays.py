"""Validation of pictures, signals, templates, masks and options."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scs.errors import OptionError, ShapeError

Array = NDArray[Any]

# What is compared as it is. Others become one of these; float64 holds all that integers of 32 bits do.
DTYPES = ("uint8", "uint16", "float32", "float64")
_NEAREST = {"bool": "uint8", "int8": "float32", "int16": "float32", "float16": "float32"}
_DIMENSIONS = "(H, W), (H, W, C) or (L,)"


def as_picture(what: str, pixels: ArrayLike) -> Array:
    """View pixels as ``(H, W, C)``; a signal becomes one row.

    Args:
        what: "scene" or "template", for messages.
        pixels: ``(H, W)``, ``(H, W, C)`` or ``(L,)``.

    Raises:
        ShapeError: another number of dimensions, or no pixels.
        OptionError: no numbers, or pixels that are not finite.
    """
    array = np.asarray(pixels)
    if array.ndim not in (1, 2, 3) or not array.size:
        raise ShapeError(f"a {what} is {_DIMENSIONS} with at least one pixel but {array.shape} came")
    if array.dtype == np.uint8:
        return _with_channels(array)
    if array.dtype.kind not in "buif":
        raise OptionError(f"a {what} holds integers or floating-point numbers but this one holds {array.dtype}")
    if array.dtype.name not in DTYPES:
        array = array.astype(_NEAREST.get(array.dtype.name, "float64"))
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise OptionError(f"a {what} needs finite numbers but {np.count_nonzero(~np.isfinite(array))} are not")
    return _with_channels(array.astype(array.dtype.newbyteorder("="), copy=False))


def check_masks(masks: Sequence[Array | None] | None, count: int) -> Sequence[Array | None]:
    """Return a mask or None for each of so many templates.

    Raises:
        OptionError: another number of masks.
    """
    if masks is None:
        return [None] * count
    if len(masks) != count:
        raise OptionError(f"masks are one, or None, for each of {count} templates; {len(masks)} came")
    return masks


def check_template(template: Array, scene: Array) -> None:
    """Check that a template ``(h, w, C)`` fits into a scene ``(H, W, C)``.

    Raises:
        ShapeError: it does not; the message gives both shapes.
    """
    if template.shape[2] != scene.shape[2]:
        raise ShapeError(f"template has {template.shape[2]} channels but scene has {scene.shape[2]}")
    (height, width), (rows, columns) = template.shape[:2], scene.shape[:2]
    if height > rows or width > columns:
        raise ShapeError(
            f"template is {width}x{height} but scene is {columns}x{rows}; a template must fit inside its scene"
        )


def check_box(box: tuple[int, int, int, int], what: str, width: int, height: int) -> None:
    """Check that a box has an area and lies inside a picture.

    Args:
        box: ``(x, y, width, height)`` in whole pixels.
        what: "reference", say, for the message.
        width: of the picture, in pixels.
        height: likewise.

    Raises:
        OptionError: it has none, or does not; the message gives the box and the picture's size.
    """
    x, y, across, down = box
    if across < 1 or down < 1 or x < 0 or y < 0 or x + across > width or y + down > height:
        came = ",".join(str(number) for number in box)
        raise OptionError(f"a box x,y,width,height lies inside the {what}, {width}x{height} here; {came} came")


def as_weights(mask: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Convert a mask to weights ``(C, h, w)`` for a template of shape ``(h, w, C)``.

    Args:
        mask: ``(h, w)``, ``(h, w, C)`` or, for a signal, ``(l,)``; of floating point, weights >= 0; else whatever is
            not 0 counts as 1.
        shape: of the template.

    Raises:
        ShapeError: the mask does not have the template's size.
        OptionError: weights that are negative or not finite.
    """
    array = np.asarray(mask)
    weights = array.astype(np.float64) if array.dtype.kind == "f" else (array != 0).astype(np.float64)
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise OptionError("a mask holds finite weights of 0 or more but some of these are not")
    if not weights.any():
        raise OptionError("a mask of zeros hides all of its template; some weight has to be above 0")
    if weights.ndim in (1, 2, 3):
        weights = _with_channels(weights)
    if weights.ndim != 3 or weights.shape[:2] != shape[:2] or weights.shape[2] not in (1, shape[2]):
        raise ShapeError(f"a mask has its template's size, {shape} here, or that without channels; {array.shape} came")
    return np.ascontiguousarray(np.moveaxis(np.broadcast_to(weights, shape), 2, 0))


def check_options(p: float, q: float) -> None:
    """Check exponent and noise floor of the similarities.

    Raises:
        OptionError: out of range.
    """
    if not (math.isfinite(p) and p > 0):
        raise OptionError(f"p is a number above 0; {p} came")
    if not (math.isfinite(q) and q >= 0):
        raise OptionError(f"q is a number of 0 or more; {q} came")


def magnitude(pixels: Array) -> float:
    """Return the power of two to divide floating-point pixels by, so that none is above 1 and squares stay in range."""
    if pixels.dtype.kind == "u":
        return 1.0
    largest = max(float(pixels.max()), -float(pixels.min()))
    return 2.0 ** math.ceil(math.log2(largest)) if largest else 1.0


def _with_channels(array: Array) -> Array:
    if array.ndim == 1:
        return array[None, :, None]
    return array[..., None] if array.ndim == 2 else array
