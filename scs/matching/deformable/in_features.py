"""Search for a template in the features of a network: places, scores, and whether it is there at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scs.errors import OptionError
from scs.matching.arrays import check_box
from scs.matching.deformable.appearance import Map, Picture
from scs.matching.deformable.features import FeatureMaps, FeatureTemplate, evidence, features_map, refined_place
from scs.matching.deformable.parts import parts_map
from scs.matching.found import Match
from scs.matching.options import FEATURES, PARTS, Search
from scs.matching.peaks import find_peaks, local_maxima
from scs.matching.posing.goal import PosedMatch
from scs.matching.presence.looking import match_at
from scs.matching.presence.verdict import judge

# Weight of the parts of pixels beside those of features; chosen on half of the sequences of bench/bbs.py.
_PIXELS = 0.1
_REFINED = 32  # of the best matches have places between those of the map

Box = tuple[float, float, float, float]


class FeatureMatches(NamedTuple):
    """What was found of one template in features.

    Attributes:
        matches: best first; their template is number 0.
        scores: ``(H - h + 1, W - w + 1)``, of every window of the scene, or of the region that was looked in.
    """

    matches: list[Match]
    scores: Map


def find_in_features(
    size: tuple[int, int],
    seen: Sequence[FeatureMaps],
    template: FeatureTemplate,
    search: Search,
    *,
    pixels: tuple[Picture, Picture] | None = None,
    within: Box | None = None,
) -> FeatureMatches:
    """Find a template in a scene by the features of a network, or by these together with the parts of its pixels.

    Args:
        size: height and width of the scene, in pixels.
        seen: feature maps of the scene.
        template: what to look for.
        search: its method is ``features`` or ``parts``; top, threshold, overlap and region count.
        pixels: of the scene and of the template, for ``parts``.
        within: ``(x, y, width, height)`` of the scene that the network saw; all of it unless given.

    Raises:
        ShapeError: the template does not fit into the scene, or layers do not fit each other.
        OptionError: another method, ``parts`` without pixels, or a region that is not in the scene.
    """
    if search.method not in (FEATURES, PARTS):
        raise OptionError(f"features are matched by '{FEATURES}' or '{PARTS}'; '{search.method}' came")
    scores = by_features = features_map(seen, size, template)
    if search.method == PARTS:
        if pixels is None:
            raise OptionError(f"'{PARTS}' needs pixels beside features; none came")
        scores = np.asarray((by_features + _PIXELS * parts_map(*pixels)) / (1 + _PIXELS), np.float32)
    window = template.box[3], template.box[2]
    _hide_unseen(scores, window, within)
    scores, corner = _in_region(scores, size, window, search.region)
    maxima = local_maxima(scores, 0.0)
    limit = 0.0 if search.threshold is None else search.threshold
    peaks = find_peaks(scores, window, search.top, threshold=limit, overlap=search.overlap, maxima=maxima)
    told = judge(scores, peaks, window, maxima=maxima)
    matches = []
    for number, (peak, verdict) in enumerate(zip(peaks, told, strict=True)):
        row, column = peak.row + corner[1], peak.column + corner[0]
        there = by_features[min(round(row), len(by_features) - 1), min(round(column), by_features.shape[1] - 1)]
        verdict = dataclasses.replace(verdict, evidence=evidence(float(there), size, template))
        if number < _REFINED:
            row, column = refined_place(seen, size, template, row, column)
        pose = PosedMatch(column + window[1] / 2, row + window[0] / 2, 0.0, 1.0, peak.score)
        matches.append(match_at(pose, window, verdict))
    return FeatureMatches(matches, scores)


def _hide_unseen(scores: Map, size: tuple[int, int], within: Box | None) -> None:
    """Score windows 0 that lie, by more than a pixel, outside what the network saw."""
    if within is None:
        return
    for axis, (start, length) in enumerate(((within[1], within[3]), (within[0], within[2]))):
        at = np.arange(scores.shape[axis])
        hidden = (at < start - 1) | (at + size[axis] > start + length + 1)
        np.moveaxis(scores, axis, 0)[hidden] = 0


def _in_region(
    scores: Map, scene: tuple[int, int], size: tuple[int, int], region: tuple[int, int, int, int] | None
) -> tuple[Map, tuple[int, int]]:
    """The scores of windows inside a region, and x and y of its first pixel."""
    if region is None:
        return scores, (0, 0)
    x, y, width, height = region
    check_box(region, "scene", scene[1], scene[0])
    if size[0] > height or size[1] > width:
        raise OptionError(f"template is {size[1]}x{size[0]} but the region is {width}x{height}; it must fit inside")
    part = scores[y : y + height - size[0] + 1, x : x + width - size[1] + 1]
    return np.ascontiguousarray(part), (x, y)
