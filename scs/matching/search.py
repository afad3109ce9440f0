"""Find a template in a scene where it may be turned and scaled, coarse to fine."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scs.errors import OptionError, ShapeError
from scs.matching.align import ANGLE, LOG_SCALE, Aligner, Limits, Poses, X, Y
from scs.matching.poses import (
    AxisOption,
    Picture,
    PosedTemplate,
    Steps,
    angle_steps,
    fitting_angles,
    fitting_scales,
    pose_template,
    scale_steps,
    turn_and_scale,
)
from scs.matching.resolutions import Plane, SceneResolutions, TemplatePlane
from scs.matching.scan import TurnedBank, is_round

# Methods whose scores mean the same at every size, and whether they take a window's mean off.
CENTRED = {"ccoeff_normed": True, "ccorr_normed": False, "scs": False, "scs_centred": True}
_SHARPENED = ("scs", "scs_centred")

# What a match may score below the threshold at the coarsest resolution, where it lies between steps. Measured:
# docs/matching.md says how many matches of the full search that loses.
MARGIN = 0.25

# Products that the coarsest scan may take for each pixel of the scene; its resolution is chosen by that. Gathering a
# window's pixels costs as much as comparing it with so many angles.
_WORK = 18_000
_GATHERING = 20

# Side, in pixels, of the square of a template's area in the coarsest scan, unless the scene itself shows less.
_COARSEST = 12.0
_STEPS_UP = 1.25  # between the sizes that are tried for it

# A template is never looked at in more pixels than the scene has for it, but for this factor.
_MAGNIFICATION = 1.2

_FIRST_STEPS, _LATER_STEPS = 3, 2  # of alignment, at the coarsest resolution and at those above it
_LEAST_KEPT = 30  # poses, at every resolution
_LEAST_SCORED = 10  # poses, with the posed template itself

# Poses on the way up are the same when their centres, rims and outlines are this close, in sides of the template.
_SAME = 0.1

# Of two matches the lower goes when their centres are closer than this share of the template's shorter side.
_APART = 0.5

# A posed template may leave its scene by this much, in pixels: its pose is not known more exactly than that.
_OVERHANG = 1.0


@dataclass(frozen=True)
class PosedMatch:
    """Where a template was found, and how it lies there.

    Attributes:
        x: of the template's centre in the scene, in pixels, pixel i covering [i, i + 1).
        y: likewise, downwards.
        angle: degrees, counter-clockwise as seen.
        scale: size in the scene by size in the template.
        score: by the method asked for, between the scene and the template turned, scaled and shifted to this pose.
    """

    x: float
    y: float
    angle: float
    scale: float
    score: float


def find_poses(
    scene: Picture,
    template: Picture,
    method: str = "ccoeff_normed",
    *,
    angles: AxisOption = None,
    scales: AxisOption = None,
    mask: Picture | None = None,
    p: float = 2.0,
    q: float = 0.0,
    threshold: float = 0.5,
    top: int = 1,
    candidates: int = 1000,
) -> list[PosedMatch]:
    """Find where in a scene a template lies, how far it is turned and how much larger or smaller it is.

    The scene is scanned at a low resolution with the template in every angle and scale. The best local maxima are
    aligned with the scene below the pixel and below those steps, at one resolution after the other, fewer at each. Those
    that are left are scored with the template turned and scaled at the scene's own resolution, through the mask that
    goes with it.

    Args:
        scene: ``(H, W)`` or ``(H, W, C)``.
        template: ``(h, w)`` or ``(h, w, C)``, of as many channels.
        method: ``ccoeff_normed``, ``ccorr_normed``, ``scs`` or ``scs_centred``. The others of OpenCV's scores grow with
            the size of a template or of its noise, and do not compare one scale with another.
        angles: degrees; a value, several, `Steps`, or text as `Steps.parse` reads it. None is 0.
        scales: likewise; None is 1.
        mask: ``(h, w)`` or ``(h, w, C)``, weights >= 0; turned and scaled with the template.
        p: exponent of the sharpened methods, > 0.
        q: their noise floor, >= 0, in the units of the norms at the scene's own resolution.
        threshold: least score of a match.
        top: how many matches at most.
        candidates: poses that are followed from the coarsest resolution. More find more in a scene that is full of
            things like the template, and take longer.

    Returns:
        Matches, best first, their centres at least half of the template's shorter side apart. The template lies wholly
        in the scene in each of them.

    Raises:
        ShapeError: scene, template and mask do not fit each other, or the template is larger than its scene in every
            pose.
        OptionError: a method, angle, scale or number that makes no sense.

    Example:
        >>> scene = np.random.default_rng(0).random((60, 80))
        >>> template = np.rot90(scene[20:36, 30:50])
        >>> match = find_poses(scene, template, angles=[0, 90, 180, 270])[0]
        >>> round(match.x, 1), round(match.y, 1), round(match.angle)
        (40.0, 28.0, 270)
    """
    _check(scene, template, mask, method, p, q, top, candidates)
    turn, growth = angle_steps(angles), scale_steps(scales)
    goal = _Goal(scene, template, mask, method, p, q, threshold, top)
    if not goal.fits(turn, growth.low):
        raise ShapeError(
            f"a template must fit inside its scene in some pose; the template is {template.shape}, the scene "
            f"{scene.shape}, the smallest scale {growth.low:g}"
        )
    if goal.flat:
        return []
    poses = _climb(goal, turn, growth, candidates)
    return _separated([match for match in map(goal.match, poses) if match is not None], template.shape, top)


class _Goal:
    """What is looked for, where, and by which measure."""

    def __init__(
        self,
        scene: Picture,
        template: Picture,
        mask: Picture | None,
        method: str,
        p: float,
        q: float,
        threshold: float,
        top: int,
    ) -> None:
        self.scene, self.template, self.mask = scene, template, mask
        self.centred, self.sharpened = CENTRED[method], method in _SHARPENED
        self.p, self.q, self.threshold, self.top = p, q, threshold, top
        self.scene_plane, self.template_plane = _planes(scene, template, mask, self.centred)
        still = pose_template(template, 0, 1, mask=mask)
        values = _weighted(still.pixels, still.weights, self.centred)
        self.norm = float(np.linalg.norm(values))
        self.flat = self.norm <= 1e-6 * float(np.linalg.norm(still.weights * still.pixels)) or self.norm == 0

    @property
    def least_cosine(self) -> float:
        """What a cosine has to be at least for its score to reach the threshold."""
        least = max(self.threshold, 0.0)
        return float(least ** (1 / self.p)) if self.sharpened else least

    def fits(self, angles: Steps, scale: float) -> bool:
        """Whether the template lies within the scene in some angle, at this scale."""
        tried = angles.values or np.linspace(angles.low, angles.high, 361).tolist()
        return any(self._room(angle, scale) is not None for angle in tried)

    def match(self, pose: NDArray[np.float64]) -> PosedMatch | None:
        """Score a pose; None if the template leaves the scene or falls below the threshold."""
        x, y, angle, scale = float(pose[X]), float(pose[Y]), float(pose[ANGLE]), math.exp(pose[LOG_SCALE])
        room = self._room(angle, scale)
        if room is None or abs(x - self.scene.shape[1] / 2) > room[0] or abs(y - self.scene.shape[0] / 2) > room[1]:
            return None
        posed = pose_template(self.template, angle, scale, mask=self.mask, x=x, y=y)
        score = self._score(posed)
        return PosedMatch(x, y, angle, scale, score) if score >= self.threshold else None

    def _room(self, angle: float, scale: float) -> NDArray[np.float64] | None:
        """How far the template's centre may lie from the scene's, across and down; None if it is too large."""
        height, width = self.template.shape[:2]
        reach = np.abs(turn_and_scale(angle, scale)) @ (width / 2, height / 2)
        room = np.array(self.scene.shape[1::-1]) / 2 - reach + _OVERHANG
        return room if (room >= _OVERHANG - 1e-6).all() else None

    def _score(self, posed: PosedTemplate) -> float:
        height, width = posed.weights.shape[:2]
        rows = slice(max(posed.row, 0), posed.row + height)
        columns = slice(max(posed.column, 0), posed.column + width)
        window = self.scene[rows, columns].astype(np.float32)
        window = window.reshape(*window.shape[:2], -1)
        top, left = rows.start - posed.row, columns.start - posed.column
        there = (slice(top, top + window.shape[0]), slice(left, left + window.shape[1]))
        weights = posed.weights[there]
        seen = _weighted(window, weights, self.centred)
        sought = _weighted(posed.pixels[there], weights, self.centred)
        seen_norm, sought_norm = float(np.linalg.norm(seen)), float(np.linalg.norm(sought))
        if seen_norm <= 1e-6 * float(np.linalg.norm(weights * window)) or not seen_norm or not sought_norm:
            return 0.0
        if not self.sharpened:
            return min(1.0, float(seen @ sought) / (seen_norm * sought_norm))
        cosine = float(seen @ sought) / ((seen_norm + self.q) * (sought_norm + self.q))
        return math.copysign(min(1.0, abs(cosine)) ** self.p, cosine)


def _climb(goal: _Goal, turn: Steps, growth: Steps, candidates: int) -> Poses:
    """Scan at the coarsest resolution, then align at that and at all above it; the poses that are left, best first."""
    template = goal.template_plane
    radius = math.hypot(*template.pixels.shape) / 2
    limits = Limits(
        _widened(turn, math.degrees(1 / radius)),
        _widened(Steps.of([math.log(growth.low), math.log(growth.high)]), 1 / radius),
        turn.values is None and turn.high - turn.low >= 360,
    )
    scene = SceneResolutions(goal.scene_plane)
    coarsest = _coarsest(template, turn, growth)
    poses, scores = _scan(goal, scene, coarsest, turn, growth, limits.turning)
    chosen = np.argsort(-scores, kind="stable")[:candidates]
    poses, scores = poses[chosen], scores[chosen]
    smallest = min(coarsest, _size_in_scene(template, growth.low))
    points = None
    for size in _sizes(smallest, coarsest, template.size):
        here = np.exp(poses[:, LOG_SCALE]) * template.size  # of the template in the scene
        moving = (size >= 0.99 * np.minimum(coarsest, here)) & (size <= _MAGNIFICATION * np.maximum(here, smallest))
        if moving.any():
            aligner = Aligner(template, size, goal.centred)
            steps = _LATER_STEPS if points else _FIRST_STEPS
            points = points or aligner.points
            poses[moving], scores[moving] = aligner.refine(scene, poses[moving], limits, steps)
            kept = max(candidates * points // (2 * aligner.points), 3 * goal.top, _LEAST_KEPT)
            poses, scores = _distinct(poses, scores, template.size, kept)
    return poses[: max(3 * goal.top, _LEAST_SCORED)]


def _scan(
    goal: _Goal, scene: SceneResolutions, coarsest: float, turn: Steps, growth: Steps, turning: bool
) -> tuple[Poses, NDArray[np.float32]]:
    """Local maxima over place, angle and scale, and their cosines."""
    template = goal.template_plane
    least = max(goal.least_cosine - MARGIN, 0.05)
    banks: dict[float, tuple[TurnedBank, NDArray[np.float64]]] = {}
    poses, scores = [np.empty((0, 4))], [np.empty(0, np.float32)]
    for scale in _covering(growth, fitting_scales(Steps(growth.low, growth.high), _rim(template, coarsest))):
        size = min(coarsest, _size_in_scene(template, scale))
        if size not in banks:
            tried = fitting_angles(Steps(turn.low, turn.high), _rim(template, size))
            angles = np.array(_covering(turn, tried))
            banks[size] = TurnedBank(template, size, angles.tolist(), goal.centred), angles
        bank, angles = banks[size]
        resized = scene.at(min(1.0, size / (template.size * scale)))
        scan = bank.scan(resized.pixels)
        if scan is None:
            continue
        rows, columns = scan.peaks(least)
        profiles = scan.profiles(rows, columns)
        window, angle = np.nonzero(_summits(profiles, turning) & (profiles >= least))
        x = (columns[window] + bank.side / 2) / resized.x_factor
        y = (rows[window] + bank.side / 2) / resized.y_factor
        poses.append(np.stack([x, y, angles[angle], np.full(len(x), math.log(scale))], 1))
        scores.append(profiles[window, angle])
    return np.concatenate(poses), np.concatenate(scores)


def _coarsest(template: TemplatePlane, turn: Steps, growth: Steps) -> float:
    """The largest size that may be scanned for within the work allowed."""
    size = _COARSEST
    while size * _STEPS_UP < template.size and _work(template, size * _STEPS_UP, turn, growth) <= _WORK:
        size *= _STEPS_UP
    return min(size, template.size)


def _work(template: TemplatePlane, size: float, turn: Steps, growth: Steps) -> float:
    """Products for each pixel of the scene when the template is scanned for at this size."""
    rim = _rim(template, size)
    height, width = (side * size / template.size for side in template.pixels.shape)
    disc = is_round(template)
    points = math.pi / 4 * (min(height, width) ** 2 if disc else height**2 + width**2)
    angles = len(_covering(turn, fitting_angles(Steps(turn.low, turn.high), rim)))
    scales = _covering(growth, fitting_scales(Steps(growth.low, growth.high), rim))
    windows = sum(min(1.0, size / (template.size * scale)) ** 2 for scale in scales)
    return windows * points * ((1 if disc else 3) * angles + _GATHERING)


def _rim(template: TemplatePlane, size: float) -> float:
    """Radius that decides the steps of a scan: of the disc, or of the disc whose pixels lie as far out on the mean."""
    height, width = (side * size / template.size for side in template.pixels.shape)
    return min(height, width) / 2 if is_round(template) else math.sqrt((height**2 + width**2) / 6)


def _covering(steps: Steps, fitting: tuple[float, ...]) -> tuple[float, ...]:
    """Those of the listed values that are needed to leave no wider gaps than the fitting ones, or the fitting ones."""
    if steps.values is None or len(fitting) < 2:
        return steps.values or fitting
    kept = [steps.values[0]]
    widest = np.interp(steps.values, fitting[:-1], np.diff(fitting))
    for value, following, gap in zip(steps.values[1:], (*steps.values[2:], math.inf), widest[1:], strict=True):
        if following - kept[-1] > gap:
            kept.append(value)
    return tuple(kept)


def _sizes(smallest: float, coarsest: float, largest: float) -> list[float]:
    """Sizes to align at: doubling where every scale is shown in full, in steps of root two where some are not."""
    sizes = [smallest]
    while sizes[-1] < 0.999 * largest:
        factor = 2 if sizes[-1] * 2 <= coarsest * 2.001 else math.sqrt(2)
        sizes.append(min(sizes[-1] * factor, largest))
    return sizes


def _size_in_scene(template: TemplatePlane, scale: float) -> float:
    return template.size * min(scale, 1.0)


def _summits(profiles: Plane, turning: bool) -> NDArray[np.bool_]:
    """Where each row of scores is no lower than on either side; the last comes before the first on a full turn."""
    before, after = np.roll(profiles, 1, 1), np.roll(profiles, -1, 1)
    if not turning:
        before[:, 0] = after[:, -1] = -np.inf
    highest: NDArray[np.bool_] = (profiles >= before) & (profiles >= after)
    return highest


def _widened(steps: Steps, by: float) -> tuple[float, float]:
    """Ends of the steps with room for an error of measurement, or the one value there is."""
    return (steps.low, steps.high) if steps.single else (steps.low - by, steps.high + by)


def _distinct(poses: Poses, scores: NDArray[np.float32], side: float, most: int) -> tuple[Poses, NDArray[np.float32]]:
    """Best first, and only the best of those that have come to nearly the same pose."""
    order = np.argsort(-scores, kind="stable")
    poses, scores = poses[order], scores[order]
    left = np.ones(len(poses), bool)
    kept = []
    for index in range(len(poses)):
        if left[index]:
            kept.append(index)
            if len(kept) == most:
                break
            offsets = poses[index + 1 :] - poses[index]
            turns = np.radians((offsets[:, ANGLE] + 180) % 360 - 180)
            reach = _SAME * side * math.exp(poses[index, LOG_SCALE])
            close = np.hypot(offsets[:, X], offsets[:, Y]) < reach
            left[index + 1 :] &= ~(close & (np.abs(turns) < _SAME) & (np.abs(offsets[:, LOG_SCALE]) < _SAME))
    return poses[kept], scores[kept]


def _separated(matches: list[PosedMatch], shape: tuple[int, ...], top: int) -> list[PosedMatch]:
    kept: list[PosedMatch] = []
    for match in sorted(matches, key=lambda match: -match.score):
        reach = _APART * min(shape[:2])
        if all(
            math.hypot(match.x - other.x, match.y - other.y) >= reach * max(match.scale, other.scale) for other in kept
        ):
            kept.append(match)
    return kept[:top]


def _weighted(pixels: Plane, weights: Plane, centred: bool) -> Plane:
    """Pixels as one vector, times their weights, each channel without its weighted mean if so wanted."""
    if centred:
        total = np.maximum(np.broadcast_to(weights, pixels.shape).sum((0, 1)), 1e-12)
        pixels = pixels - (weights * pixels).sum((0, 1)) / total
    return (weights * pixels).ravel()


def _planes(scene: Picture, template: Picture, mask: Picture | None, centred: bool) -> tuple[Plane, TemplatePlane]:
    """One channel of each: along the direction in which the template's own pixels differ most."""
    weights = None if mask is None else np.asarray(mask, np.float32).reshape(*mask.shape[:2], -1).mean(2)
    if scene.ndim == 2 or scene.shape[2] == 1:
        planes = [np.ascontiguousarray(picture, np.float32).reshape(picture.shape[:2]) for picture in (scene, template)]
        return planes[0], TemplatePlane(planes[1], weights)
    colours = template.reshape(-1, template.shape[2]).astype(np.float64)
    shares = np.full(len(colours), 1 / len(colours)) if weights is None else weights.ravel() / max(weights.sum(), 1e-12)
    if centred:
        colours = colours - shares @ colours
    _, directions = np.linalg.eigh((colours * shares[:, None]).T @ colours)
    direction = directions[:, -1].astype(np.float32)
    if direction.sum() < 0:
        direction = -direction
    planes = [np.ascontiguousarray(picture.astype(np.float32) @ direction) for picture in (scene, template)]
    return planes[0], TemplatePlane(planes[1], weights)


def _check(
    scene: Picture, template: Picture, mask: Picture | None, method: str, p: float, q: float, top: int, candidates: int
) -> None:
    shapes = f"the scene is {scene.shape}, the template {template.shape}"
    if scene.ndim not in (2, 3) or scene.ndim != template.ndim or scene.shape[2:] != template.shape[2:]:
        raise ShapeError(f"scene and template are both (H, W), or both (H, W, C) with as many channels; {shapes}")
    if not scene.size or not template.size:
        raise ShapeError(f"scene and template need at least one pixel each; {shapes}")
    if mask is not None and mask.shape not in (template.shape[:2], template.shape):
        raise ShapeError(
            f"a mask has the template's size, with or without its channels; {shapes}, the mask {mask.shape}"
        )
    if method not in CENTRED:
        raise OptionError(f"a search over angles and scales takes {', '.join(CENTRED)}; '{method}' came")
    if not p > 0 or not q >= 0:
        raise OptionError(f"p is above zero and q not below; p = {p:g} and q = {q:g} came")
    if top < 1 or candidates < 1:
        raise OptionError(f"top and candidates are at least 1; {top} and {candidates} came")
