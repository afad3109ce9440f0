"""Search for templates in a scene: the position, angle and scale of each match, and whether it is more than chance."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scs.errors import OptionError
from scs.matching.arrays import check_masks, check_options
from scs.matching.boxes import corners
from scs.matching.methods import METHODS
from scs.matching.nms import check_overlap, suppress_boxes
from scs.matching.parts import PartsTemplate, parts_map
from scs.matching.peaks import Peak, find_peaks
from scs.matching.posing.goal import PosedMatch
from scs.matching.posing.poses import AxisOption, Box, angle_steps, pose_template, scale_steps, unrelated_poses
from scs.matching.posing.search import find_poses
from scs.matching.scores import ScoreMap, score_map, score_maps
from scs.matching.surprise import Surprise, judge, present

Array = NDArray[Any]

PARTS = "parts"
METHOD_NAMES = (*METHODS, PARTS)


@dataclass(frozen=True)
class Match:
    """A template found in a scene.

    Attributes:
        template: which of the templates, from 0.
        score: by the method that was asked for.
        x: of the template's centre, in pixels of the scene, pixel i covering [i, i + 1).
        y: likewise, downwards.
        width: of the template as it lies there, in pixels.
        height: likewise.
        angle: degrees that the template is turned by, counter-clockwise as seen.
        scale: size in the scene by size of the template.
        psr: peak-to-sidelobe ratio: how many standard deviations the score is above the rest of the map; None where
            there is no rest.
        chance: that such a score comes up somewhere in such a scene without the template; None where the scene is too
            small to tell.
        present: whether the match is more than chance: the chance is below a hundredth or, where it is None, the score
            is at least 0.8 before sharpening (for the methods without an angle: Pearson's r there).

    Example:
        >>> match = Match(0, 0.97, x=50, y=35, width=40, height=30, angle=0, scale=1, psr=9, chance=1e-6, present=True)
        >>> match.corners.tolist()
        [[30.0, 20.0], [70.0, 20.0], [70.0, 50.0], [30.0, 50.0]]
    """

    template: int
    score: float
    x: float
    y: float
    width: float
    height: float
    angle: float
    scale: float
    psr: float | None
    chance: float | None
    present: bool

    @property
    def corners(self) -> NDArray[np.float64]:
        """Corners ``(4, 2)``: x and y of the template's top left, top right, bottom right and bottom left one."""
        box = np.array([self.x, self.y, self.width, self.height, self.angle])
        return np.asarray(corners(box), np.float64)


@dataclass(frozen=True)
class Found:
    """The matches that were found of several templates.

    Attributes:
        matches: best first.
        flat: for each template the share of the scene, 0 to 1, that has no angle to it; see ``ScoreMap``.

    Example:
        >>> found = find(np.eye(40, dtype=np.float32), [np.eye(10, dtype=np.float32)])
        >>> isinstance(found, Found), len(found.matches), len(found.flat)
        (True, 1, 1)
    """

    matches: list[Match]
    flat: list[float]


@dataclass(frozen=True)
class Search:
    """The options of a search for templates.

    Attributes:
        method: one of ``METHOD_NAMES``; see ``score_map`` and ``parts_map``.
        p: exponent of the similarities, > 0.
        q: noise floor of the similarities, >= 0.
        angles: that templates may be turned by; see ``Steps``. None is upright.
        scales: likewise; None is as large as they are.
        top: most matches of each template.
        threshold: a match scores above it (below it, where lower is better). None keeps whatever has an angle to the
            template.
        overlap: largest intersection over union of two matches of one template.
        device: where torch computes scores; see ``score_map``. The search over angles and scales, and the method
            ``parts``, run on the CPU all the same.

    Raises:
        OptionError: an unknown method, or an option out of range.

    Example:
        >>> search = Search(method="scs", p=3.0, angles="-30:30", top=5)
        >>> search.posed
        True
    """

    method: str = "ccoeff_normed"
    p: float = 2.0
    q: float = 0.0
    angles: AxisOption = None
    scales: AxisOption = None
    top: int = 1
    threshold: float | None = None
    overlap: float = 0.3
    device: str | None = None

    def __post_init__(self) -> None:
        if self.method not in METHOD_NAMES:
            raise OptionError(f"no method '{self.method[:60]}'; there are: {', '.join(METHOD_NAMES)}")
        check_options(self.p, self.q)
        if self.top < 1:
            raise OptionError(f"top is 1 or more; {self.top} came")
        if self.threshold is not None and math.isnan(self.threshold):
            raise OptionError("a threshold is a number; nan came")
        check_overlap(self.overlap)
        if self.posed and self.method == PARTS:
            raise OptionError(f"'{PARTS}' bends a template but does not turn or scale it; leave out angles and scales")

    @property
    def posed(self) -> bool:
        """Whether templates may be turned or scaled."""
        return self.angles is not None or self.scales is not None

    @property
    def sign(self) -> int:
        """Sign that makes higher scores better: -1 for a method where lower ones are, else 1."""
        return -1 if self.method in METHODS and METHODS[self.method].lower_is_better else 1


def find(
    scene: Array,
    templates: Sequence[Array | PartsTemplate],
    search: Search | None = None,
    *,
    masks: Sequence[Array | None] | None = None,
) -> Found:
    """Find templates in a scene.

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
    if search.method == PARTS and any(mask is not None for mask in masks):
        raise OptionError(f"'{PARTS}' takes no mask")
    if search.posed:
        each = [_find_posed(scene, _pixels(t), mask, search) for t, mask in zip(templates, masks, strict=True)]
    else:
        each = _find_upright(scene, templates, masks, search)
    matches = [dataclasses.replace(match, template=i) for i, (found, _) in enumerate(each) for match in found]
    return Found(sorted(matches, key=lambda match: -search.sign * match.score), [flat for _, flat in each])


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
        search: the method, its p, its q and its device.
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
    if search.method == PARTS:
        return ScoreMap(parts_map(scene, template), 0.0)
    if angle == 0 and scale == 1:
        pixels = _pixels(template)
        return score_map(scene, pixels, search.method, mask=mask, p=search.p, q=search.q, device=search.device)
    return _posed_map(scene, _pixels(template), mask, search, angle, scale, centre)[0]


def _posed_map(
    scene: Array,
    template: Array,
    mask: Array | None,
    search: Search,
    angle: float,
    scale: float,
    centre: tuple[float, float] | None,
) -> tuple[ScoreMap, Box]:
    """Scores of a posed template, and where its box lies in the scene."""
    posed = pose_template(template, angle, scale, mask=mask, centre=centre)
    # A box is of whole pixels, and may reach over the scene's rim by the part of one.
    rows, first_row = _inside(posed.box.row, posed.box.rows, scene.shape[0])
    columns, first_column = _inside(posed.box.column, posed.box.columns, scene.shape[1])
    pixels, weights = posed.pixels[rows, columns], posed.weights[rows, columns]
    scored = score_map(scene, pixels, search.method, mask=weights, p=search.p, q=search.q, device=search.device)
    return scored, Box(first_row, first_column, *pixels.shape[:2])


def _inside(first: int, length: int, available: int) -> tuple[slice, int]:
    start = max(0, -first)
    return slice(start, min(length, available - first)), first + start


def _find_upright(
    scene: Array, templates: Sequence[Array | PartsTemplate], masks: Sequence[Array | None], search: Search
) -> list[tuple[list[Match], float]]:
    if search.method == PARTS:
        maps: Iterator[ScoreMap] = (ScoreMap(parts_map(scene, template), 0.0) for template in templates)
    else:
        pixels = [_pixels(template) for template in templates]
        maps = score_maps(scene, pixels, search.method, masks=masks, p=search.p, q=search.q, device=search.device)
    return [
        (_upright_matches(scene, template, mask, search, scored), scored.flat)
        for scored, template, mask in zip(maps, templates, masks, strict=True)
    ]


def _upright_matches(
    scene: Array, template: Array | PartsTemplate, mask: Array | None, search: Search, scored: ScoreMap
) -> list[Match]:
    """The highest places of a map of scores, judged."""
    height, width = _size(template)
    limit = -np.inf if search.sign < 0 else 0.0
    peaks = find_peaks(
        search.sign * np.atleast_2d(scored.scores),
        (height, width),
        search.top,
        threshold=limit if search.threshold is None else search.sign * search.threshold,
        overlap=search.overlap,
        p=_exponent(search),
    )
    cosines, told = _judge(scene, template, mask, search, scored, peaks)
    matches = []
    for peak, surprise, cosine in zip(peaks, told, cosines, strict=True):
        pose = PosedMatch(peak.column + width / 2, peak.row + height / 2, 0.0, 1.0, search.sign * peak.score)
        matches.append(_match(pose, (height, width), surprise, cosine))
    return matches


def _find_posed(scene: Array, template: Array, mask: Array | None, search: Search) -> tuple[list[Match], float]:
    poses = find_poses(
        scene,
        template,
        search.method,
        angles=search.angles,
        scales=search.scales,
        mask=mask,
        p=search.p,
        q=search.q,
        threshold=0.0 if search.threshold is None else search.threshold,
        top=search.top,
    )
    best = poses[0] if poses else None
    if best is None:
        flat = score_map(template, template, search.method, mask=mask).flat
        return [], flat
    # The other scores of the best pose tell how surprising all of the poses found are.
    scored, box = _posed_map(scene, template, mask, search, best.angle, best.scale, (best.x, best.y))
    peaks = [Peak(pose.y - best.y + box.row, pose.x - best.x + box.column, pose.score) for pose in poses]
    trials = unrelated_poses(angle_steps(search.angles), scale_steps(search.scales))
    exponent = _exponent(search)
    told = judge(scored.scores, peaks, (box.rows, box.columns), p=exponent, trials=trials)
    matches = [
        _match(pose, _size(template), surprise, pose.score ** (1 / exponent))
        for pose, surprise in zip(poses, told, strict=True)
    ]
    boxes = [[match.x, match.y, match.width, match.height, match.angle] for match in matches]
    kept = suppress_boxes(boxes, [match.score for match in matches], search.overlap)
    return [matches[i] for i in kept], scored.flat


def _judge(
    scene: Array,
    template: Array | PartsTemplate,
    mask: Array | None,
    search: Search,
    scored: ScoreMap,
    peaks: list[Peak],
) -> tuple[list[float], list[Surprise]]:
    """Judge peaks by their own map or, where its scores have no angle to go by, by that of Pearson's r.

    The scores that they are judged by, before sharpening, come with the judgement.
    """
    window = _size(template)
    method = METHODS.get(search.method)
    if method is None or (method.normalised and not method.lower_is_better):
        exponent = _exponent(search)
        told = judge(np.atleast_2d(scored.scores), peaks, window, p=exponent)
        return [max(peak.score, 0) ** (1 / exponent) for peak in peaks], told
    angles = np.atleast_2d(score_map(scene, _pixels(template), mask=mask, device=search.device).scores)
    rows, columns = angles.shape
    there = [
        Peak(peak.row, peak.column, float(angles[min(round(peak.row), rows - 1), min(round(peak.column), columns - 1)]))
        for peak in peaks
    ]
    return [peak.score for peak in there], judge(angles, there, window)


def _match(pose: PosedMatch, size: tuple[int, int], told: Surprise, cosine: float) -> Match:
    """Make a match from a pose and its significance; its template is number 0 until the caller sets it."""
    height, width = size
    return Match(
        0,
        pose.score,
        pose.x,
        pose.y,
        width * pose.scale,
        height * pose.scale,
        pose.angle,
        pose.scale,
        told.psr,
        told.chance,
        present(told, cosine),
    )


def _exponent(search: Search) -> float:
    """Exponent that the scores of a method are sharpened by; 1 where they are not."""
    return search.p if search.method in METHODS and METHODS[search.method].kind == "similarity" else 1.0


def _pixels(template: Array | PartsTemplate) -> Array:
    return template.pixels if isinstance(template, PartsTemplate) else np.asarray(template)


def _size(template: Array | PartsTemplate) -> tuple[int, int]:
    pixels = _pixels(template)
    return (1, pixels.size) if pixels.ndim == 1 else (pixels.shape[0], pixels.shape[1])
