"""Search for templates in a scene: the position, angle and scale of each match, and whether it is there at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scs.errors import OptionError
from scs.matching import cut_off
from scs.matching.arrays import as_picture, check_box, check_masks
from scs.matching.coarse.search import CoarseSearch, serves
from scs.matching.deformable.parts import PartsTemplate, parts_map
from scs.matching.found import Found, Match
from scs.matching.methods import METHODS
from scs.matching.nms import suppress_boxes
from scs.matching.options import FEATURES, METHOD_NAMES, PARTS, PIXELS, Search
from scs.matching.outline import RIM, one_colour, outlined
from scs.matching.peaks import Peak, Places, find_peaks, local_maxima
from scs.matching.posing.goal import PosedMatch
from scs.matching.posing.poses import Box, pose_template
from scs.matching.posing.search import find_poses
from scs.matching.presence.explained import Explained, Explainer
from scs.matching.presence.looking import Looking, match_at, sign_at, size_of
from scs.matching.presence.same_pixels import SamePixels
from scs.matching.presence.verdict import Verdict, judge
from scs.matching.scores import ScoreMap, score_map, score_maps
from scs.matching.stretched import find_stretched, stretched

__all__ = ["METHOD_NAMES", "PARTS", "PIXELS", "Found", "Match", "Search", "find", "heatmap"]

Array = NDArray[Any]

_EVEN_SPARE = 16  # places that are compared by their pixels beside the matches that are asked for


def find(
    scene: Array,
    templates: Sequence[Array | PartsTemplate],
    search: Search | None = None,
    *,
    masks: Sequence[Array | None] | None = None,
) -> Found:
    """Find templates in a scene.

    A template of one colour behind a mask has no contrast; by a method that takes means off it is looked for by its
    outline: how far the pixels around it are from that colour.

    Args:
        scene: see ``score_map``.
        templates: likewise; a ``PartsTemplate`` for the method ``parts``.
        search: how; None is ``Search()``.
        masks: one, or None, for each template; see ``score_map``. Not for the method ``parts``.

    Returns:
        The matches of all templates, best first, and for each template the share of the scene that is flat.

    Raises:
        ShapeError: the shapes do not fit each other; the message gives both.
        OptionError: an option that makes no sense.
        MissingPackageError: a device is given, and torch is not installed.
        DeviceError: torch cannot use that device.

    Example:
        >>> scene = np.random.default_rng(0).integers(0, 256, (100, 200), dtype=np.uint8)
        >>> match = find(scene, [scene[20:50, 30:70]]).matches[0]
        >>> round(match.x, 1), round(match.y, 1), match.present
        (50.0, 35.0, True)
    """
    search = search or Search()
    if isinstance(templates, np.ndarray):
        raise OptionError("templates come in a list, even a single one; one array came")
    masks = check_masks(masks, len(templates))
    if search.method == FEATURES:
        raise OptionError(f"'{FEATURES}' needs the feature maps of a network; see scs.matching.deformable.in_features")
    if search.method == PARTS and any(mask is not None for mask in masks):
        raise OptionError(f"'{PARTS}' takes no mask")
    _check_signs(templates, search)
    scene, corner = _region(scene, search)
    by_outline = [search.centred and one_colour(_pixels(t), mask) for t, mask in zip(templates, masks, strict=True)]
    plain = [i for i, outline in enumerate(by_outline) if not outline]
    each: dict[int, tuple[list[Match], float]] = {}
    for i, outline in enumerate(by_outline):
        if outline:
            each[i] = _find_outline(scene, _pixels(templates[i]), masks[i], search)
    found = _find_all(scene, [templates[i] for i in plain], [masks[i] for i in plain], search)
    each.update(zip(plain, found, strict=True))
    matches = [
        dataclasses.replace(match, template=i, x=match.x + corner[0], y=match.y + corner[1])
        for i in range(len(templates))
        for match in each[i][0]
    ]
    matches.sort(key=lambda match: -search.rank(match.score))
    return Found(matches, [each[i][1] for i in range(len(templates))], by_outline)


def heatmap(
    scene: Array,
    template: Array | PartsTemplate,
    search: Search,
    *,
    mask: Array | None = None,
    angle: float = 0.0,
    scale: float = 1.0,
    centre: tuple[float, float] | None = None,
) -> ScoreMap:
    """Score a template in one pose at every place of a scene.

    Args:
        scene: see ``find``.
        template: see ``find``.
        search: the method, its p, its q, its device and its region. ``pixels`` is shown by Pearson's r.
        mask: see ``score_map``.
        angle: that the template is turned by.
        scale: that it is scaled by.
        centre: ``(x, y)`` of a match, between whose pixels the template is drawn as it lies there.

    Returns:
        Scores for the windows of the upright box that holds the template in this pose, as far as the scene does.

    Example:
        >>> scene = np.random.default_rng(0).random((60, 80), np.float32)
        >>> heatmap(scene, scene[10:30, 20:50], Search()).scores.shape
        (41, 51)
    """
    scene, corner = _region(scene, search)
    if centre is not None:
        centre = centre[0] - corner[0], centre[1] - corner[1]
    if search.method == PARTS:
        return ScoreMap(parts_map(scene, template), 0.0)
    pixels = _pixels(template)
    if search.centred and mask is not None and one_colour(pixels, mask):
        outline = outlined(scene, pixels, mask)
        scene, pixels, mask = outline.scene, outline.template, outline.mask
        centre = None if centre is None else (centre[0] + RIM, centre[1] + RIM)
    if pixels.ndim == 1 or scene.shape[0] == 1:
        pixels, mask = stretched(pixels, scale), None if mask is None else stretched(mask, scale)
    elif angle != 0 or scale != 1:
        return _posed_map(scene, pixels, mask, search, angle, scale, centre)[0]
    return score_map(scene, pixels, search.map_method, mask=mask, p=search.p, q=search.q, device=search.device)


def _check_signs(templates: Sequence[Array | PartsTemplate], search: Search) -> None:
    """Check that a template's negative can score below 0, where that is a match.

    Raises:
        OptionError: it cannot: the mean stays on, and there is no number below 0.
    """
    if search.polarity != "either" or search.centred:
        return
    if not all(float(np.min(_pixels(template), initial=0)) < 0 for template in templates):
        able = ", ".join(name for name, method in METHODS.items() if method.centred)
        raise OptionError(
            f"polarity 'either' by '{search.method}' needs a template with numbers below 0, as a signal has; this one "
            f"has none: take {able}"
        )


def _region(scene: Array, search: Search) -> tuple[Array, tuple[int, int]]:
    """The part of a scene to look in, and x and y of its first pixel."""
    if search.region is None:
        return scene, (0, 0)
    x, y, across, down = search.region
    rows, columns = _size(scene)
    check_box(search.region, "scene", columns, rows)
    part = scene[x : x + across] if np.ndim(scene) == 1 else scene[y : y + down, x : x + across]
    return part, (x, y)


def _find_all(
    scene: Array, templates: Sequence[Array | PartsTemplate], masks: Sequence[Array | None], search: Search
) -> list[tuple[list[Match], float]]:
    if not search.posed:
        return _find_upright(scene, templates, masks, search)
    pairs = [(_pixels(template), mask) for template, mask in zip(templates, masks, strict=True)]
    if np.ndim(scene) == 1 or scene.shape[0] == 1:
        return [find_stretched(scene, pixels, mask, search) for pixels, mask in pairs]
    return [_find_posed(scene, pixels, mask, search) for pixels, mask in pairs]


def _find_outline(scene: Array, template: Array, mask: Array | None, search: Search) -> tuple[list[Match], float]:
    assert mask is not None
    outline = outlined(scene, template, mask)
    ((matches, flat),) = _find_all(outline.scene, [outline.template], [outline.mask], search)
    height, width = _size(template)
    placed = [
        dataclasses.replace(
            match, x=match.x - RIM, y=match.y - RIM, width=width * match.scale, height=height * match.scale
        )
        for match in matches
    ]
    return placed, flat


def _posed_map(
    scene: Array,
    template: Array,
    mask: Array | None,
    search: Search,
    angle: float,
    scale: float,
    centre: tuple[float, float] | None,
) -> tuple[ScoreMap, Box, Array, Array]:
    """Scores of a posed template, where its box lies in the scene, and its pixels and weights there."""
    posed = pose_template(template, angle, scale, mask=mask, centre=centre)
    # A box is of whole pixels, and may reach over the scene's rim by the part of one.
    rows, first_row = _inside(posed.box.row, posed.box.rows, scene.shape[0])
    columns, first_column = _inside(posed.box.column, posed.box.columns, scene.shape[1])
    pixels, weights = posed.pixels[rows, columns], posed.weights[rows, columns]
    scored = score_map(scene, pixels, search.method, mask=weights, p=search.p, q=search.q, device=search.device)
    return scored, Box(first_row, first_column, *pixels.shape[:2]), pixels, weights


def _inside(first: int, length: int, available: int) -> tuple[slice, int]:
    start = max(0, -first)
    return slice(start, min(length, available - first)), first + start


def _find_upright(
    scene: Array, templates: Sequence[Array | PartsTemplate], masks: Sequence[Array | None], search: Search
) -> list[tuple[list[Match], float]]:
    """Find templates from coarse to fine where that serves and leaves no doubt, the others by their whole maps."""
    quick = [i for i, mask in enumerate(masks) if serves(scene, mask, search)]
    answers = CoarseSearch(scene, search).find([_pixels(templates[i]) for i in quick]) if quick else []
    found = {i: answer for i, answer in zip(quick, answers, strict=True) if answer is not None}
    left = [i for i in range(len(templates)) if i not in found]
    whole = _find_in_maps(scene, [templates[i] for i in left], [masks[i] for i in left], search)
    found.update(zip(left, whole, strict=True))
    return [found[i] for i in range(len(templates))]


def _find_in_maps(
    scene: Array, templates: Sequence[Array | PartsTemplate], masks: Sequence[Array | None], search: Search
) -> list[tuple[list[Match], float]]:
    if search.method == PARTS:
        maps: Iterator[ScoreMap] = (ScoreMap(parts_map(scene, template), 0.0) for template in templates)
    else:
        pixels = [_pixels(template) for template in templates]
        maps = score_maps(scene, pixels, search.map_method, masks=masks, p=search.p, q=search.q, device=search.device)
    return [
        (_upright_matches(scene, template, mask, search, scored), scored.flat)
        for scored, template, mask in zip(maps, templates, masks, strict=True)
    ]


def _upright_matches(
    scene: Array, template: Array | PartsTemplate, mask: Array | None, search: Search, scored: ScoreMap
) -> list[Match]:
    """The highest places of a map of scores, judged."""
    size = _size(template)
    if search.method == PIXELS:
        return _same_pixels(scene, _pixels(template), mask, search, scored)
    signed: NDArray[np.floating[Any]] = np.atleast_2d(scored.scores)
    before = 0, 0
    if search.border == "partial":
        signed = cut_off.with_rim(scene, _pixels(template), signed, mask, search.exponent)
        before = cut_off.reach(_pixels(template))
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
    size = _size(template)
    if search.method == PARTS:
        return judge(scores, peaks, size, maxima=maxima)
    look = Looking(scene, _pixels(template), mask, before, signed if search.polarity == "either" else None)
    if METHODS[search.method].normalised and search.sign > 0:
        return judge(scores, peaks, size, look, p=search.exponent, maxima=maxima)
    angles = np.atleast_2d(score_map(scene, _pixels(template), mask=mask, device=search.device).scores)
    last_row, last_column = angles.shape[0] - 1, angles.shape[1] - 1
    there = [
        Peak(p.row, p.column, float(angles[min(round(p.row), last_row), min(round(p.column), last_column)]))
        for p in peaks
    ]
    judged = judge(np.abs(angles) if search.polarity == "either" else angles, there, size, look)
    if search.sign > 0:
        return judged
    # A difference of nothing is the template itself, be it of one colour.
    same = SamePixels(_pixels(template), mask, _span(scene))
    return [
        dataclasses.replace(verdict, evidence=max(verdict.evidence, same.exact(look.scene, peak.row, peak.column)))
        for verdict, peak in zip(judged, peaks, strict=True)
    ]


def _same_pixels(scene: Array, template: Array, mask: Array | None, search: Search, scored: ScoreMap) -> list[Match]:
    """The places that are most alike, pixel by pixel; those of a template without contrast by its differences."""
    size = _size(template)
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


def _find_posed(scene: Array, template: Array, mask: Array | None, search: Search) -> tuple[list[Match], float]:
    poses = _poses(scene, template, mask, search)
    if not poses:
        return [], score_map(template, template, search.method, mask=mask).flat
    best = poses[0]
    # The other scores of the best pose tell what rivals all of the poses found have.
    scored, box, pixels, weights = _posed_map(scene, template, mask, search, best.angle, best.scale, (best.x, best.y))
    signed = np.atleast_2d(scored.scores)
    either = search.polarity == "either"
    peaks = [Peak(pose.y - best.y + box.row, pose.x - best.x + box.column, abs(pose.score)) for pose in poses]
    look = Looking(scene, pixels, weights, signed=signed if either else None)
    explained = [_explained(scene, template, mask, pose, look) for pose in poses]
    scores = np.abs(signed) if either else signed
    told = judge(scores, peaks, (box.rows, box.columns), look, explained=explained, p=search.exponent)
    matches = [match_at(pose, _size(template), verdict) for pose, verdict in zip(poses, told, strict=True)]
    boxes = [[match.x, match.y, match.width, match.height, match.angle] for match in matches]
    kept = suppress_boxes(boxes, [search.rank(match.score) for match in matches], search.overlap)
    return [matches[i] for i in kept][: search.top], scored.flat


def _poses(scene: Array, template: Array, mask: Array | None, search: Search) -> list[PosedMatch]:
    """Poses found, best first; with either polarity those of the inverted template as well, their scores below 0."""

    def found(pixels: Array) -> list[PosedMatch]:
        return find_poses(
            scene,
            pixels,
            search.method,
            angles=search.angles,
            scales=search.scales,
            mask=mask,
            p=search.p,
            q=search.q,
            threshold=0.0 if search.threshold is None else search.threshold,
            top=search.top,
        )

    poses = found(template)
    if search.polarity == "either":
        inverted = found(-template.astype(np.float32))
        poses = poses + [dataclasses.replace(pose, score=-pose.score) for pose in inverted]
    return sorted(poses, key=lambda pose: -abs(pose.score))


def _explained(scene: Array, template: Array, mask: Array | None, pose: PosedMatch, look: Looking) -> Explained:
    """How well a template explains the scene in its own pose."""
    posed = pose_template(template, pose.angle, pose.scale, mask=mask, centre=(pose.x, pose.y))
    rows, row = _inside(posed.box.row, posed.box.rows, scene.shape[0])
    columns, column = _inside(posed.box.column, posed.box.columns, scene.shape[1])
    pixels = posed.pixels[rows, columns]
    explainer = Explainer(pixels if pose.score >= 0 else -pixels, posed.weights[rows, columns], look.unit)
    return explainer.explain(look.scene, row, column, look.noise)


def _visible(scene: Array, size: tuple[int, int], row: float, column: float) -> float:
    """Share of a window that lies inside the scene."""
    rows, columns = _size(scene)
    down = max(0.0, min(row + size[0], rows) - max(row, 0.0))
    across = max(0.0, min(column + size[1], columns) - max(column, 0.0))
    return min(down * across / (size[0] * size[1]), 1.0)


def _span(scene: Array) -> float:
    return float(scene.max()) - float(scene.min())


def _pixels(template: Array | PartsTemplate) -> Array:
    return template.pixels if isinstance(template, PartsTemplate) else np.asarray(template)


def _size(template: Array | PartsTemplate) -> tuple[int, int]:
    return size_of(_pixels(template))
