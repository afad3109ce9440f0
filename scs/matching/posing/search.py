"""Find a template in a scene where it may be turned and scaled, coarse to fine."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from scs.errors import OptionError, ShapeError
from scs.matching.arrays import Array, as_picture, as_weights, check_options
from scs.matching.methods import METHODS, Method, method_named
from scs.matching.nms import suppress_centres
from scs.matching.peaks import find_peaks
from scs.matching.posing.align import ANGLE, LOG_SCALE, Aligner, Limits, Poses, X, Y
from scs.matching.posing.goal import Goal, PosedMatch
from scs.matching.posing.poses import (
    AxisOption,
    Steps,
    angle_steps,
    fitting_angles,
    fitting_scales,
    scale_steps,
    turn_and_scale,
)
from scs.matching.posing.products import Workers, workers
from scs.matching.posing.resolutions import Plane, SceneResolutions, TemplatePlane
from scs.matching.posing.scan import TurnedBank, core, is_round
from scs.matching.scores import score_map

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
_FOR_EACH = 4  # poses followed, at least, for each match that is asked for
_LEAST_KEPT = 30  # poses, at every resolution
_LEAST_SCORED = 10  # poses, with the posed template itself

# Poses on the way up are the same when they fall into one cell this wide: in sides of the template for its centre, in
# radians and in powers of e for angle and scale.
_SAME = 0.1

# Of two matches the lower goes when their centres are closer than this share of the template's shorter side.
_APART = 0.5

# Matches that are polished beyond those asked for, in case one of them comes out on top, and how far below the
# threshold they may begin.
_SPARE = 2
_GAIN = 0.1


_HAIR = 1e-6  # pixels: what rounding may add to a template that just fits
_LONGEST = 32_766  # pixels; OpenCV warps nothing longer


def find_poses(
    scene: Array,
    template: Array,
    method: str = "ccoeff_normed",
    *,
    angles: AxisOption = None,
    scales: AxisOption = None,
    mask: Array | None = None,
    p: float = 2.0,
    q: float = 0.0,
    threshold: float = 0.5,
    top: int = 1,
    candidates: int = 500,
    threads: int | None = None,
) -> list[PosedMatch]:
    """Find where in a scene a template lies, how far it is turned and how much larger or smaller it is.

    The scene is scanned at a low resolution with the template in every angle and scale. The best local maxima are
    aligned with the scene below the pixel and below those steps, at one resolution after the other, fewer at each.
    Those that are left are scored with the template turned and scaled at the scene's own resolution, through the mask
    that goes with it, and the best are moved to where that score is highest.

    Args:
        scene: ``(H, W)`` or ``(H, W, C)``.
        template: ``(h, w)`` or ``(h, w, C)``, of as many channels.
        method: ``ccoeff_normed``, ``ccorr_normed``, ``scs`` or ``scs_centred``, as `scs.matching.scores.score_map` has
            them. Its others grow with the size of a template, and do not compare one scale with another.
        angles: degrees; a value, several, `Steps`, or text as `Steps.parse` reads it. None is 0.
        scales: likewise; None is 1.
        mask: ``(h, w)`` or ``(h, w, C)``, weights >= 0, as `score_map` takes it; turned and scaled with the template.
        p: exponent of the sharpened methods, > 0.
        q: their noise floor, >= 0, in the units of the norms at the scene's own resolution.
        threshold: least score of a match.
        top: how many matches at most.
        candidates: poses that are followed from the coarsest resolution, or four times ``top`` if that is more. More
            find more in a scene that is full of things like the template, and take longer.
        threads: most threads to use; None uses every core this process may.

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
    chosen_method = _method_that_compares_sizes(method)
    check_options(p, q)
    if top < 1 or candidates < 1:
        raise OptionError(f"top and candidates are at least 1; {top} and {candidates} came")
    scene, template = _picture("scene", scene), _picture("template", template)
    if template.shape[2] != scene.shape[2]:
        raise ShapeError(f"template has {template.shape[2]} channels but scene has {scene.shape[2]}")
    turn, growth = angle_steps(angles), scale_steps(scales)
    goal = Goal(scene, template, None if mask is None else _weights(mask, template), chosen_method, p, q)
    limits = _limits(template, scene, turn, growth)
    if not _fits(limits, turn, growth.low):
        raise ShapeError(
            f"template is {template.shape[1]}x{template.shape[0]} but scene is {scene.shape[1]}x{scene.shape[0]}; a "
            f"template must fit inside its scene in some pose, and the smallest scale is {growth.low:g}"
        )
    if goal.flat:
        return []
    with workers(threads) as spread:
        poses = _climb(goal, turn, growth, limits, threshold, top, max(candidates, _FOR_EACH * top), spread)
        first = [(goal.match(pose), pose) for pose in poses[(limits.room(poses) >= -_HAIR).all(1)]]
        first = [(match, pose) for match, pose in first if match.score >= threshold - _GAIN]
        rough = dict(sorted(first, key=lambda pair: -pair[0].score))
        chosen = _separated(list(rough), template.shape)[: top + _SPARE]
        # Room beyond the ends was for errors of measurement on the way; what is answered lies within them.
        asked = replace(limits, angles=(turn.low, turn.high), log_scales=(math.log(growth.low), math.log(growth.high)))
        matches = list(spread(lambda match: goal.match(_polished(goal, rough[match], asked)), chosen))
    if turn.low <= 0 <= turn.high and growth.low <= 1 <= growth.high:
        matches = _upright(scene, template, mask, method, p, q, threshold, top) + matches
    # Of poses that differ by rounding alone the first is kept, which was not moved.
    best = sorted((match for match in matches if match.score >= threshold), key=lambda match: -round(match.score, 6))
    return [_within_turn(match, turn) for match in _separated(best, template.shape)[:top]]


def _polished(goal: Goal, pose: Poses, limits: Limits) -> Poses:
    start = pose.copy()
    limits.apply(start[None])
    return goal.polish(start, limits)


def _upright(
    scene: Array, template: Array, mask: Array | None, method: str, p: float, q: float, threshold: float, top: int
) -> list[PosedMatch]:
    """The best places of the template as it is: cheap to look at one by one, and exact where nothing was turned."""
    height, width = template.shape[:2]
    if height > scene.shape[0] or width > scene.shape[1]:
        return []
    scores = score_map(scene, template, method, mask=mask, p=p, q=q).scores
    exponent = p if METHODS[method].kind == "similarity" else 1.0
    peaks = find_peaks(scores, (height, width), top, threshold=max(threshold, 0.0), p=exponent)
    return [PosedMatch(peak.column + width / 2, peak.row + height / 2, 0.0, 1.0, peak.score) for peak in peaks]


def _within_turn(match: PosedMatch, turn: Steps) -> PosedMatch:
    """Give an angle of a full circle as the circle counts, from its lowest on: alignment may have passed the end."""
    if turn.high - turn.low < 360:
        return match
    return replace(match, angle=turn.low + (match.angle - turn.low) % 360)


def _fits(limits: Limits, turn: Steps, scale: float) -> bool:
    """Whether the template lies within the scene in some angle, at this scale."""
    angles = turn.values or np.linspace(turn.low, turn.high, 361).tolist()
    poses = np.array([(0, 0, angle, math.log(scale)) for angle in angles])
    return bool((limits.room(poses) >= -_HAIR).all(1).any())


def _limits(template: Array, scene: Array, turn: Steps, growth: Steps) -> Limits:
    radius = math.hypot(*template.shape[:2]) / 2
    return Limits(
        angles=_widened(turn, math.degrees(1 / radius)),
        log_scales=_widened(Steps.of([math.log(growth.low), math.log(growth.high)]), 1 / radius),
        turning=turn.values is None and turn.high - turn.low >= 360,
        template=(template.shape[0], template.shape[1]),
        scene=(scene.shape[0], scene.shape[1]),
    )


def _climb(
    goal: Goal,
    turn: Steps,
    growth: Steps,
    limits: Limits,
    threshold: float,
    top: int,
    candidates: int,
    spread: Workers,
) -> Poses:
    """Scan at the coarsest resolution, then align at that and at all above it; the poses that are left, best first."""
    template = goal.template_plane
    scene = SceneResolutions(goal.scene_plane)
    part, offset = core(template)
    coarsest = _coarsest(part, turn, growth)
    least = max(goal.least_cosine(threshold) - MARGIN, 0.05)
    poses, scores = _scan(part, goal.centred, scene, coarsest, turn, growth, least, limits.turning, spread)
    chosen = np.argsort(-scores, kind="stable")[:candidates]
    poses, scores = poses[chosen], scores[chosen]
    if part is not template:  # aligned by itself, or the error of its angle would throw the far end of the whole off
        aligner = Aligner(part, coarsest, goal.centred)
        height, width = part.pixels.shape
        poses, scores = aligner.refine(scene, poses, replace(limits, template=(height, width)), _FIRST_STEPS, spread)
        for pose in poses:
            pose[:2] -= turn_and_scale(pose[ANGLE], math.exp(pose[LOG_SCALE])) @ offset
        coarsest *= template.size / part.size
    limits.apply(poses)
    smallest = min(coarsest, _size_in_scene(template, growth.low))
    points = None
    for size in _sizes(smallest, coarsest, template.size):
        here = np.exp(poses[:, LOG_SCALE]) * template.size  # of the template in the scene
        moving = (size >= 0.99 * np.minimum(coarsest, here)) & (size <= _MAGNIFICATION * np.maximum(here, smallest))
        if moving.any():
            aligner = Aligner(template, size, goal.centred)
            steps = _LATER_STEPS if points else _FIRST_STEPS
            points = points or aligner.points
            poses[moving], scores[moving] = aligner.refine(scene, poses[moving], limits, steps, spread)
            kept = max(candidates * points // (2 * aligner.points), 3 * top, _LEAST_KEPT)
            poses, scores = _distinct(poses, scores, template.size, kept)
    return poses[: max(3 * top, _LEAST_SCORED)]


def _scan(
    template: TemplatePlane,
    centred: bool,
    scene: SceneResolutions,
    coarsest: float,
    turn: Steps,
    growth: Steps,
    least: float,
    turning: bool,
    spread: Workers,
) -> tuple[Poses, NDArray[np.float32]]:
    """Local maxima over place, angle and scale, and their cosines."""
    banks: dict[float, tuple[TurnedBank, NDArray[np.float64]]] = {}
    poses, scores = [np.empty((0, 4))], [np.empty(0, np.float32)]
    for scale in _covering(growth, fitting_scales(Steps(growth.low, growth.high), _rim(template, coarsest))):
        size = min(coarsest, _size_in_scene(template, scale))
        if size not in banks:
            tried = fitting_angles(Steps(turn.low, turn.high), _rim(template, size))
            angles = np.array(_covering(turn, tried))
            banks[size] = TurnedBank(template, size, angles.tolist(), centred), angles
        bank, angles = banks[size]
        resized = scene.at(min(1.0, size / (template.size * scale)))
        scan = bank.scan(resized.pixels, spread)
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
    return float(windows * points * ((1 if disc else 3) * angles + _GATHERING))


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
    growths = np.rint(poses[:, LOG_SCALE] / _SAME)
    reach = _SAME * side * np.exp(_SAME * growths)
    turns = np.rint(np.radians(poses[:, ANGLE] % 360) / _SAME)
    cells = np.stack([np.rint(poses[:, X] / reach), np.rint(poses[:, Y] / reach), turns, growths], 1)
    _, firsts = np.unique(cells, axis=0, return_index=True)
    kept = np.sort(firsts)[:most]
    return poses[kept], scores[kept]


def _separated(matches: list[PosedMatch], shape: tuple[int, ...]) -> list[PosedMatch]:
    """Those, of matches that come best first, which are not too close to a better one."""
    reach = _APART * min(shape[:2])
    centres = [(match.x, match.y) for match in matches]
    return [matches[i] for i in suppress_centres(centres, [reach * match.scale for match in matches])]


def _method_that_compares_sizes(name: str) -> Method:
    method = method_named(name)
    if not method.normalised or method.lower_is_better:
        able = [one.name for one in METHODS.values() if one.normalised and not one.lower_is_better]
        raise OptionError(f"a search over angles and scales takes {', '.join(able)}; '{name}' came")
    return method


def _picture(what: str, pixels: Array) -> Array:
    if np.ndim(pixels) == 1:
        raise ShapeError(f"a {what} that is to be turned or scaled is (H, W) or (H, W, C); {np.shape(pixels)} came")
    picture = as_picture(what, pixels)
    if max(picture.shape[:2]) > _LONGEST:
        raise ShapeError(f"neither side of a {what} is longer than {_LONGEST} pixels; {picture.shape} came")
    return picture


def _weights(mask: Array, template: Array) -> Plane:
    """``(h, w, 1)`` if all channels share their weights, else ``(h, w, C)``."""
    weights = np.moveaxis(as_weights(mask, template.shape), 0, 2)
    return np.ascontiguousarray(weights if np.ndim(mask) == 3 else weights[..., :1], np.float32)
