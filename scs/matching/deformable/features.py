"""Matching in the features of a network: a template's units share out those of a scene, at fractions of the stride."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from scs.errors import OptionError, ShapeError
from scs.matching.arrays import check_box
from scs.matching.deformable.appearance import Map
from scs.matching.deformable.sharing import Rules, build, drawn, outside, patches_at, score_windows

# Chosen on half of the sequences of bench/bbs.py.
_RULES = Rules(side=1, step=1, strayed=(0.8, 0.6), sharpness=7.0, noise_floor=0.15, nobody=1e-4, smoothing=1.2)
_PARTS = 100  # that a template is divided into, unless that would be finer than the features are
_FINEST = 0.25  # of the stride: the least distance between parts
_MOST_PLACES = 2**16  # at which a scene is looked at
_RIVALS = 300
_MOST_CHANNELS = 384  # of most energy; the directions of more would take seconds to even out
_SAMPLED_AT_ONCE = 4  # channels, OpenCV's most
_FINE, _FINE_REACH = 4, 3  # steps in a part's width by which a place is refined, and how many either way
# Weight and bias of a logistic regression on the same half: pairs that were found, and templates of other sequences.
_EVIDENCE, _NEEDED = 9.0, 14.6
_BLANK = 1e-20  # mean square of features, below which a scene is the same everywhere

Place = tuple[float, float]


@dataclass(frozen=True, eq=False)
class FeatureMaps:
    """The feature maps of one layer for a picture, and where its units lie in that picture.

    Attributes:
        values: ``(C, rows, columns)``, floating point.
        first: y and x of the first unit's centre, in pixels of the picture, pixel i covering [i, i + 1).
        stride: pixels from unit to unit, down and across; of the picture as it came, so it may be a fraction.

    Example:
        >>> FeatureMaps(np.zeros((8, 6, 10), np.float32), first=(4.0, 4.0), stride=(8.0, 8.0)).values.shape
        (8, 6, 10)
    """

    values: NDArray[np.floating]
    first: Place
    stride: Place


@dataclass(frozen=True, eq=False)
class FeatureTemplate:
    """What to look for: a box of a picture whose features are known.

    Attributes:
        layers: feature maps of the picture, one for each layer.
        size: height and width of the picture, in pixels.
        box: ``(x, y, width, height)`` in whole pixels of it. Where it is not all of the picture, its surroundings
            compete with it.

    Raises:
        OptionError: no layer, or a box that is not inside the picture.
    """

    layers: Sequence[FeatureMaps]
    size: tuple[int, int]
    box: tuple[int, int, int, int]

    def __post_init__(self) -> None:
        if not self.layers:
            raise OptionError("features are those of one or more layers; none came")
        check_box(self.box, "reference", width=self.size[1], height=self.size[0])


def features_map(scene: Sequence[FeatureMaps], size: tuple[int, int], template: FeatureTemplate) -> Map:
    """Score a template at every place of a scene by the features of a network.

    Box and scene are divided into places, a tenth of the template apart, and features are interpolated there. Each
    place of the scene is shared out by its sharpened cosine similarities to the template's parts and to their rivals:
    places around the box or, where there are none, of the scene. The score of a window is the mean, over the parts, of
    the largest share found about where the part belongs; of several layers, the mean of theirs.

    Args:
        scene: feature maps of the scene, those of the template's layers, in their order.
        size: height and width of the scene, in pixels.
        template: what to look for, no larger than the scene.

    Returns:
        ``(H - h + 1, W - w + 1)`` within [0, 1], interpolated between the places.

    Raises:
        ShapeError: the template is larger than the scene, or layers do not fit each other; the message gives both.

    Source:
        As :func:`scs.matching.deformable.parts.parts_map`, which does the same with pixels.
    """
    _check(scene, size, template)
    _, _, width, height = template.box
    parts = _parts_of(template, size)
    pitch = height / parts[0], width / parts[1]
    scores = [
        _scored(each, own, size, template, parts, pitch) for each, own in zip(scene, template.layers, strict=True)
    ]
    total: Map = np.mean(scores, axis=0, dtype=np.float32)
    places = (np.arange(size[axis] - side + 1, dtype=np.float32) for axis, side in enumerate((height, width)))
    down, across = (at / step for at, step in zip(places, pitch, strict=True))
    return _bilinear(total, down, across)


def evidence(score: float, size: tuple[int, int], template: FeatureTemplate) -> float:
    """What speaks for the template at a place by its score in features, less what is needed; above 0 it is present.

    Shares depend on how many claim them, so the score counts by how often it is what each would get of an even split.

    Args:
        score: of ``features_map``, there.
        size: height and width of the scene.
        template: what was looked for.
    """
    claimants = math.prod(_parts_of(template, size)) + _RIVALS
    return _EVIDENCE * math.log(max(score * claimants, 1e-6)) - _NEEDED


def refined_place(
    scene: Sequence[FeatureMaps], size: tuple[int, int], template: FeatureTemplate, row: float, column: float
) -> Place:
    """Move a window by fractions of a part to where its features are most like the template's (fine step).

    Args:
        scene: see ``features_map``.
        size: likewise.
        template: likewise.
        row: of the window's first pixel, as found in that map.
        column: likewise.

    Returns:
        Row and column, within three quarters of a part of what came, and inside the scene.
    """
    x, y, width, height = template.box
    parts = _parts_of(template, size)
    pitch = height / parts[0], width / parts[1]
    moves = [np.arange(-_FINE_REACH, _FINE_REACH + 1) * step / _FINE for step in pitch]
    likeness = sum(
        _likeness(each, own, (y, x), (row, column), parts, pitch, moves)
        for each, own in zip(scene, template.layers, strict=True)
    )
    assert isinstance(likeness, np.ndarray)
    best = np.unravel_index(int(likeness.argmax()), likeness.shape)
    by = []
    for axis, step in enumerate(pitch):
        line = np.moveaxis(likeness, axis, 0)[:, best[1 - axis]]
        by.append(float(moves[axis][best[axis]]) + _vertex(line, int(best[axis])) * step / _FINE)
    return min(max(row + by[0], 0.0), size[0] - height), min(max(column + by[1], 0.0), size[1] - width)


def _likeness(
    scene: FeatureMaps,
    reference: FeatureMaps,
    own_corner: Place,
    corner: Place,
    parts: tuple[int, int],
    pitch: Place,
    moves: list[NDArray[np.float64]],
) -> Map:
    """Cosine between the template's parts and those of the window, for every move down and across."""
    kept = _telling(scene.values)
    mean = np.asarray(scene.values[kept], np.float32).mean((1, 2))[:, None, None]
    middles = [(np.arange(count) + 0.5) * step for count, step in zip(parts, pitch, strict=True)]
    at = [middle + start for middle, start in zip(middles, own_corner, strict=True)]
    own = _sampled(reference, kept, (at[0].astype(np.float32), at[1].astype(np.float32))) - mean
    there = [
        (start + move[:, None] + middle).ravel().astype(np.float32)
        for middle, start, move in zip(middles, corner, moves, strict=True)
    ]
    counts = len(moves[0]), parts[0], len(moves[1]), parts[1]
    seen = (_sampled(scene, kept, (there[0], there[1])) - mean).reshape(-1, *counts)
    dots = np.einsum("cij,cuivj->uv", own, seen, optimize=True)
    norms = np.sqrt(np.einsum("cuivj,cuivj->uv", seen, seen)) * np.linalg.norm(own)
    return np.asarray(dots / np.maximum(norms, 1e-12), np.float32)


def _vertex(line: Map, at: int) -> float:
    """Where a parabola through three values is highest, from the middle one; 0 at an end of the line."""
    if not 0 < at < len(line) - 1:
        return 0.0
    before, here, after = (float(value) for value in line[at - 1 : at + 2])
    bend = before - 2 * here + after
    return 0.0 if bend >= 0 else max(-0.5, min(0.5, (before - after) / (2 * bend)))


def _check(scene: Sequence[FeatureMaps], size: tuple[int, int], template: FeatureTemplate) -> None:
    _, _, width, height = template.box
    if height > size[0] or width > size[1]:
        raise ShapeError(
            f"template is {width}x{height} but scene is {size[1]}x{size[0]}; a template must fit inside its scene"
        )
    counts = [[len(each.values) for each in layers] for layers in (scene, template.layers)]
    if counts[0] != counts[1]:
        raise ShapeError(f"scene and template need the same layers; their channels are {counts[0]} and {counts[1]}")


def _parts_of(template: FeatureTemplate, size: tuple[int, int]) -> tuple[int, int]:
    """How many parts a template is divided into, down and across."""
    _, _, width, height = template.box
    finest = min(min(each.stride) for each in template.layers)
    apart = max(math.sqrt(width * height / _PARTS), _FINEST * finest, math.sqrt(size[0] * size[1] / _MOST_PLACES))
    return max(1, round(height / apart)), max(1, round(width / apart))


def _scored(
    scene: FeatureMaps,
    reference: FeatureMaps,
    size: tuple[int, int],
    template: FeatureTemplate,
    parts: tuple[int, int],
    pitch: Place,
) -> Map:
    """Scores by one layer, of the windows at every place."""
    kept = _telling(scene.values)
    seen = _sampled(scene, kept, _places(size, (0, 0), pitch))
    mean = seen.mean((1, 2), keepdims=True)
    seen -= mean
    windows = tuple(count - part + 1 for count, part in zip(seen.shape[1:], parts, strict=True))
    if float(np.square(seen).mean()) < _BLANK:
        return np.zeros(windows, np.float32)
    x, y, width, height = template.box
    # Places around the box lie on its own grid.
    before = int(y // pitch[0]), int(x // pitch[1])
    known = _sampled(
        reference, kept, _places(template.size, (y - before[0] * pitch[0], x - before[1] * pitch[1]), pitch)
    )
    known -= mean
    own = known[:, before[0] : before[0] + parts[0], before[1] : before[1] + parts[1]]
    around = outside(known.shape[1:], 1, before, parts)
    surroundings, rivals = (known, around) if around.any() else (seen, outside(seen.shape[1:], 1))
    network = build(seen, own, patches_at(surroundings, drawn(rivals, _RIVALS), 1), _RULES)
    return score_windows(seen, network, parts)


def _telling(values: NDArray[np.floating]) -> slice | NDArray[np.intp]:
    """The channels that are compared: all of them, or those that vary most."""
    if len(values) <= _MOST_CHANNELS:
        return slice(None)
    return np.sort(np.argsort(-values.var((1, 2)), kind="stable")[:_MOST_CHANNELS])


def _places(size: tuple[int, int], start: Place, pitch: Place) -> tuple[Map, Map]:
    """Middles of the cells of a grid on a picture, down and across, in pixels."""
    down, across = (
        np.arange(first + step / 2, length, step, dtype=np.float32)
        for length, first, step in zip(size, start, pitch, strict=True)
    )
    return down, across


def _sampled(maps: FeatureMaps, kept: slice | NDArray[np.intp], places: tuple[Map, Map]) -> Map:
    """Features between the units, ``(C, down, across)``."""
    down, across = (
        (at - np.float32(first)) / np.float32(stride)
        for at, first, stride in zip(places, maps.first, maps.stride, strict=True)
    )
    values = np.asarray(maps.values[kept], np.float32)
    sampled = np.empty((len(values), len(down), len(across)), np.float32)
    for start in range(0, len(values), _SAMPLED_AT_ONCE):
        group = np.ascontiguousarray(np.moveaxis(values[start : start + _SAMPLED_AT_ONCE], 0, 2))
        sampled[start : start + _SAMPLED_AT_ONCE] = np.moveaxis(np.atleast_3d(_bilinear(group, down, across)), 2, 0)
    return sampled


def _bilinear(values: Map, down: Map, across: Map) -> Map:
    """Values ``(H, W)`` or ``(H, W, C)`` between their places; beyond the rim those of the rim."""
    xs, ys = np.meshgrid(across, down)
    found = cv2.remap(values, xs, ys, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.float32)
