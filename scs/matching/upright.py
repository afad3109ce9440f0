"""Search for templates that lie upright: coarse to fine where that serves, else by their whole maps."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scs.matching import cut_off
from scs.matching.arrays import Array, as_picture
from scs.matching.coarse.search import CoarseSearch, serves
from scs.matching.deformable.parts import PartsTemplate, parts_map, pixels_of
from scs.matching.found import Match
from scs.matching.methods import METHODS
from scs.matching.options import PARTS, PIXELS, Search
from scs.matching.peaks import Peak, Places, find_peaks, local_maxima
from scs.matching.posing.goal import PosedMatch
from scs.matching.presence.looking import Looking, match_at, sign_at, size_of
from scs.matching.presence.same_pixels import SamePixels
from scs.matching.presence.verdict import Verdict, judge
from scs.matching.scores import ScoreMap, score_map, score_maps

_EVEN_SPARE = 16  # places that are compared by their pixels beside the matches that are asked for


def find_upright(
    scene: Array, templates: Sequence[Array | PartsTemplate], masks: Sequence[Array | None], search: Search
) -> list[tuple[list[Match], float]]:
    """Find templates from coarse to fine where that serves and leaves no doubt, the others by their whole maps."""
    quick = [i for i, mask in enumerate(masks) if serves(scene, mask, search)]
    answers = CoarseSearch(scene, search).find([pixels_of(templates[i]) for i in quick]) if quick else []
    found = {i: answer for i, answer in zip(quick, answers, strict=True) if answer is not None}
    left = [i for i in range(len(templates)) if i not in found]
    whole = find_in_maps(scene, [templates[i] for i in left], [masks[i] for i in left], search)
    found.update(zip(left, whole, strict=True))
    return [found[i] for i in range(len(templates))]


def find_in_maps(
    scene: Array, templates: Sequence[Array | PartsTemplate], masks: Sequence[Array | None], search: Search
) -> list[tuple[list[Match], float]]:
    """Find templates by their whole maps; of each the matches and the share of the scene that is flat."""
    if search.method == PARTS:
        maps: Iterator[ScoreMap] = (ScoreMap(parts_map(scene, template), 0.0) for template in templates)
    else:
        pixels = [pixels_of(template) for template in templates]
        maps = score_maps(scene, pixels, search.map_method, masks=masks, p=search.p, q=search.q, device=search.device)
    return [
        (_upright_matches(scene, template, mask, search, scored), scored.flat)
        for scored, template, mask in zip(maps, templates, masks, strict=True)
    ]


def _upright_matches(
    scene: Array, template: Array | PartsTemplate, mask: Array | None, search: Search, scored: ScoreMap
) -> list[Match]:
    """The highest places of a map of scores, judged."""
    size = size_of(pixels_of(template))
    if search.method == PIXELS:
        return _same_pixels(scene, pixels_of(template), mask, search, scored)
    signed: NDArray[np.floating[Any]] = np.atleast_2d(scored.scores)
    before = 0, 0
    if search.border == "partial":
        signed = cut_off.with_rim(scene, pixels_of(template), signed, mask, search.exponent)
        before = cut_off.reach(pixels_of(template))
    scores = np.abs(signed) if search.polarity == "either" else signed if search.sign > 0 else -signed
    limit = -np.inf if search.sign < 0 else 0.0
    threshold = limit if search.threshold is None else search.sign * search.threshold
    maxima = local_maxima(scores, min(threshold, 0.0))
    peaks = find_peaks(
        scores, size, search.top, threshold=threshold, overlap=search.overlap, p=search.exponent, maxima=maxima
    )
    told = _judged(scene, template, mask, search, signed, scores, peaks, maxima, before)
    matches = []
    for peak, verdict in zip(peaks, told, strict=True):
        row, column = peak.row - before[0], peak.column - before[1]
        sign = sign_at(signed, peak) if search.polarity == "either" else search.sign
        pose = PosedMatch(column + size[1] / 2, row + size[0] / 2, 0.0, 1.0, sign * peak.score)
        matches.append(match_at(pose, size, verdict, _visible(scene, size, row, column)))
    return matches


def _judged(
    scene: Array,
    template: Array | PartsTemplate,
    mask: Array | None,
    search: Search,
    signed: NDArray[np.floating[Any]],
    scores: NDArray[np.floating[Any]],
    peaks: list[Peak],
    maxima: Places,
    before: tuple[int, int],
) -> list[Verdict]:
    """Judge peaks by their own map or, where its scores have no angle to go by, by that of Pearson's r."""
    size = size_of(pixels_of(template))
    if search.method == PARTS:
        return judge(scores, peaks, size, maxima=maxima)
    look = Looking(scene, pixels_of(template), mask, before, signed if search.polarity == "either" else None)
    if METHODS[search.method].normalised and search.sign > 0:
        return judge(scores, peaks, size, look, p=search.exponent, maxima=maxima)
    angles = np.atleast_2d(score_map(scene, pixels_of(template), mask=mask, device=search.device).scores)
    last_row, last_column = angles.shape[0] - 1, angles.shape[1] - 1
    there = [
        Peak(p.row, p.column, float(angles[min(round(p.row), last_row), min(round(p.column), last_column)]))
        for p in peaks
    ]
    judged = judge(np.abs(angles) if search.polarity == "either" else angles, there, size, look)
    if search.sign > 0:
        return judged
    # A difference of nothing is the template itself, be it of one colour.
    same = SamePixels(pixels_of(template), mask, _span(scene))
    return [
        dataclasses.replace(verdict, evidence=max(verdict.evidence, same.exact(look.scene, peak.row, peak.column)))
        for verdict, peak in zip(judged, peaks, strict=True)
    ]


def _same_pixels(scene: Array, template: Array, mask: Array | None, search: Search, scored: ScoreMap) -> list[Match]:
    """The places that are most alike, pixel by pixel; those of a template without contrast by its differences."""
    size = size_of(template)
    scores = np.atleast_2d(scored.scores)
    same = SamePixels(template, mask, _span(scene))
    if scored.flat == 1 and same.flat:
        scores = -np.atleast_2d(score_map(scene, template, "sqdiff", mask=mask, device=search.device).scores)
    most = 2 * search.top + _EVEN_SPARE
    peaks = find_peaks(scores, size, most, threshold=-np.inf, overlap=search.overlap, subpixel=False)
    picture = as_picture("scene", scene)
    matches = []
    for peak in peaks:
        difference = same.compare(picture, round(peak.row), round(peak.column))
        if search.threshold is None or difference.score > search.threshold:
            pose = PosedMatch(peak.column + size[1] / 2, peak.row + size[0] / 2, 0.0, 1.0, difference.score)
            matches.append(match_at(pose, size, Verdict(difference.evidence, None, None, None)))
    matches.sort(key=lambda match: -match.score)
    return matches[: search.top]


def _visible(scene: Array, size: tuple[int, int], row: float, column: float) -> float:
    """Share of a window that lies inside the scene."""
    rows, columns = size_of(scene)
    down = max(0.0, min(row + size[0], rows) - max(row, 0.0))
    across = max(0.0, min(column + size[1], columns) - max(column, 0.0))
    return min(down * across / (size[0] * size[1]), 1.0)


def _span(scene: Array) -> float:
    return float(scene.max()) - float(scene.min())
