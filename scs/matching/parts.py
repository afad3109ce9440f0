"""A template as a two-layer network of small parts, found again though the thing has moved, bent or turned a little."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from scs.errors import OptionError, ShapeError

Map = NDArray[np.float32]
Picture = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32] | NDArray[np.float64]

# Sides of a part and of the step between parts, and how far a part may stray, in pixels of the working size.
_PART, _STEP, _REACH = 3, 2, 2
# Templates are worked on at this area, enlarged at most so many times, a scene at most to so many pixels.
_TEMPLATE_AREA, _LARGEST_ENLARGEMENT, _LARGEST_ENLARGED_SCENE = 900, 2.0, 160_000
# Weights of the colour-opponent channels and of the gradient against lightness.
_COLOUR, _GRADIENT = 2.0, 4.0
# Sharpness, and the noise floor q as a share of the scene's typical part norm.
_SHARPNESS, _NOISE_FLOOR = 20.0, 0.12
# A pixel that resembles no part is nobody's: this much goes to nobody.
_NOBODY = 1e-3
_SURROUNDING_PARTS = 200
_FLOATS_AT_ONCE = 2**22


@dataclass(frozen=True)
class PartsTemplate:
    """What to look for: a template's own pixels, or a box in a reference picture whose rest then competes with it."""

    pixels: Picture
    reference: Picture | None = None
    corner: tuple[int, int] = (0, 0)  # column, row

    @classmethod
    def from_picture(cls, pixels: Picture) -> PartsTemplate:
        """Take all of a picture ``(h, w)`` or ``(h, w, C)``."""
        _check_picture(pixels, "template")
        return cls(pixels)

    @classmethod
    def from_box(cls, reference: Picture, box: tuple[int, int, int, int]) -> PartsTemplate:
        """Take the box ``(x, y, width, height)``, whole pixels, of a reference picture ``(H, W)`` or ``(H, W, C)``.

        Raises:
            OptionError: a box without area, or not inside the reference.
        """
        _check_picture(reference, "reference")
        x, y, width, height = box
        rows, columns = reference.shape[:2]
        if width < 1 or height < 1 or x < 0 or y < 0 or x + width > columns or y + height > rows:
            came = ",".join(str(number) for number in box)
            raise OptionError(f"a box x,y,width,height lies inside the reference, {columns}x{rows} here; {came} came")
        return cls(reference[y : y + height, x : x + width], reference, (x, y))


def parts_map(scene: Picture, template: PartsTemplate | Picture) -> Map:
    """Compare a template, part by part, with every window of a scene.

    Returns:
        ``(H - h + 1, W - w + 1)`` within [0, 1].
    """
    if not isinstance(template, PartsTemplate):
        template = PartsTemplate.from_picture(template)
    _check_picture(scene, "scene")
    pixels = template.pixels
    if scene.ndim != pixels.ndim or scene.shape[2:] != pixels.shape[2:]:
        raise ShapeError(f"scene and template have the same channels; {scene.shape} and {pixels.shape} came")
    height, width = pixels.shape[:2]
    rows, columns = scene.shape[0] - height + 1, scene.shape[1] - width + 1
    if rows < 1 or columns < 1:
        raise ShapeError(
            f"template is {width}x{height} but scene is {scene.shape[1]}x{scene.shape[0]}; "
            "a template must fit inside its scene"
        )
    if np.ptp(pixels) == 0 or np.ptp(scene) == 0:
        return np.zeros((rows, columns), np.float32)

    scale = _working_scale(height * width, scene.shape[0] * scene.shape[1])
    size = _scaled(scene.shape[0], scale), _scaled(scene.shape[1], scale)
    window = min(_scaled(height, scale), size[0]), min(_scaled(width, scale), size[1])
    seen = _features(_resize(_unit_range(scene), size))
    mean = seen.mean((1, 2), keepdims=True)
    seen -= mean
    if template.reference is None:
        own = _features(_resize(_unit_range(pixels), window)) - mean
        others = None
    else:
        reference = template.reference
        around = _scaled(reference.shape[0], scale), _scaled(reference.shape[1], scale)
        whole = _features(_resize(_unit_range(reference), around))
        whole -= whole.mean((1, 2), keepdims=True)
        left = min(round(template.corner[0] * scale), around[1] - window[1])
        top = min(round(template.corner[1] * scale), around[0] - window[0])
        own = whole[:, top : top + window[0], left : left + window[1]]
        others = _surrounding_parts(whole, top, left, window)

    energy = cv2.boxFilter(np.einsum("chw,chw->hw", seen, seen), -1, (_PART, _PART), normalize=False)
    floor = _NOISE_FLOOR * math.sqrt(float(energy.mean()))
    places = [(i, j) for i in _places(window[0]) for j in _places(window[1])]
    kernels = np.stack([_part(own, i, j) for i, j in places])
    if others is not None and len(others):
        kernels = np.concatenate([kernels, others])
    kernels /= np.linalg.norm(kernels, axis=1, keepdims=True) + floor
    scores = _score(seen, kernels, places, window, floor)
    return _at_scene_size(scores, (rows, columns), (height, width), scene.shape[:2], window, size)


def _score(seen: Map, kernels: Map, places: list[tuple[int, int]], window: tuple[int, int], floor: float) -> Map:
    rows, columns = (s - w + 1 for s, w in zip(seen.shape[1:], window, strict=True))
    part_rows = seen.shape[1] - _PART + 1
    total = np.zeros((rows, columns), np.float32)
    strips = list(_strips(part_rows, seen.shape[2] * len(kernels)))

    def add_up(strip: tuple[int, int]) -> tuple[int, Map]:
        first, last = strip
        above, below = max(0, first - _REACH), min(part_rows, last + _REACH)
        shares = _shares(seen[:, above : below + _PART - 1], kernels, len(places), floor)
        sums = np.zeros((last - first + window[0], columns), np.float32)
        offset = window[0]  # row of the window's corner when its part at row 0 lies in the strip's first row
        best = np.empty(shares.shape[1:], np.float32)
        around = np.ones((2 * _REACH + 1, 2 * _REACH + 1), np.uint8)
        for share, (i, j) in zip(shares, places, strict=True):
            cv2.dilate(share, around, best)
            sums[offset - i : offset - i + last - first] += best[first - above : last - above, j : j + columns]
        return first - window[0], sums

    with ThreadPoolExecutor(min(os.cpu_count() or 1, len(strips))) as pool:
        for start, sums in pool.map(add_up, strips):
            top, bottom = max(0, start), min(rows, start + len(sums))
            if top < bottom:
                total[top:bottom] += sums[top - start : bottom - start]
    return total / len(places)


def _shares(seen: Map, kernels: Map, parts: int, floor: float) -> Map:
    """How far each place of a strip belongs to each part of the template: ``(parts, rows, columns)``."""
    channels = seen.shape[0]
    rows, columns = seen.shape[1] - _PART + 1, seen.shape[2] - _PART + 1
    patches = np.empty((_PART, _PART, channels, rows, columns), np.float32)
    for i in range(_PART):
        for j in range(_PART):
            patches[i, j] = seen[:, i : i + rows, j : j + columns]
    flat = patches.reshape(-1, rows * columns)
    flat /= np.sqrt(np.einsum("dn,dn->n", flat, flat)) + floor
    likeness = kernels @ flat
    likeness -= 1
    likeness *= _SHARPNESS
    np.exp(likeness, out=likeness)
    shares = likeness[:parts]
    shares /= likeness.sum(0) + _NOBODY
    return shares.reshape(parts, rows, columns)


def _strips(rows: int, floats_a_row: int) -> Iterator[tuple[int, int]]:
    step = max(1, min(_FLOATS_AT_ONCE // floats_a_row, -(-rows // 2)))
    for first in range(0, rows, step):
        yield first, min(rows, first + step)


def _places(length: int) -> range:
    count = (length - _PART) // _STEP + 1
    start = (length - _PART - (count - 1) * _STEP) // 2
    return range(start, start + count * _STEP, _STEP)


def _part(features: Map, i: int, j: int) -> Map:
    return features[:, i : i + _PART, j : j + _PART].transpose(1, 2, 0).ravel()


def _surrounding_parts(whole: Map, top: int, left: int, window: tuple[int, int]) -> Map:
    rows, columns = whole.shape[1] - _PART + 1, whole.shape[2] - _PART + 1
    outside = np.ones((rows, columns), bool)
    outside[max(0, top - _PART + 1) : top + window[0], max(0, left - _PART + 1) : left + window[1]] = False
    places = np.argwhere(outside)
    chosen = np.random.default_rng(0).permutation(len(places))[:_SURROUNDING_PARTS]
    return np.array([_part(whole, i, j) for i, j in places[chosen]], np.float32)


def _working_scale(template_area: int, scene_area: int) -> float:
    scale = math.sqrt(_TEMPLATE_AREA / template_area)
    if scale > 1:
        scale = min(scale, _LARGEST_ENLARGEMENT, max(1.0, math.sqrt(_LARGEST_ENLARGED_SCENE / scene_area)))
    return scale


def _scaled(length: int, scale: float) -> int:
    return max(_PART, round(length * scale))


def _resize(picture: Map, size: tuple[int, int]) -> Map:
    smaller = size[0] * size[1] < picture.shape[0] * picture.shape[1]
    resized = cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    return resized.astype(np.float32, copy=False)


def _unit_range(picture: Picture) -> Map:
    if picture.dtype == np.uint8 or picture.dtype == np.uint16:
        return picture.astype(np.float32) / np.iinfo(picture.dtype).max
    return picture.astype(np.float32)


def _features(picture: Map) -> Map:
    """Lightness, colour and the gradient of lightness, ``(C, H, W)``."""
    if picture.ndim == 3 and picture.shape[2] == 3:
        channels = [channel / 100 for channel in cv2.split(cv2.cvtColor(picture, cv2.COLOR_RGB2LAB))]
        channels[1:] = [_COLOUR * channel for channel in channels[1:]]
    else:
        channels = list(cv2.split(picture))
    down = cv2.Sobel(channels[0], cv2.CV_32F, 0, 1, scale=_GRADIENT / 8)
    across = cv2.Sobel(channels[0], cv2.CV_32F, 1, 0, scale=_GRADIENT / 8)
    return np.stack([*channels, down, across])


def _at_scene_size(
    scores: Map,
    shape: tuple[int, int],
    template: tuple[int, int],
    scene: tuple[int, ...],
    window: tuple[int, int],
    size: tuple[int, int],
) -> Map:
    """Scores at the windows of the scene's own pixels, by the centres of the windows."""
    down, across = size[0] / scene[0], size[1] / scene[1]
    matrix = np.array(
        [[across, 0, (template[1] * across - window[1]) / 2], [0, down, (template[0] * down - window[0]) / 2]]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(scores, matrix, shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _check_picture(picture: Picture, name: str) -> None:
    if picture.ndim not in (2, 3) or 0 in picture.shape:
        raise ShapeError(f"a {name} is (H, W) or (H, W, C), with at least one pixel; {picture.shape} came")
