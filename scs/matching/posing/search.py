"""Find a template in a scene where it may be turned and scaled, coarse to fine."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from scs.errors import OptionError, ShapeError
from scs.matching.arrays import Array, as_picture, check_options
from scs.matching.methods import METHODS, Method, method_named
from scs.matching.nms import suppress_centres
from scs.matching.peaks import find_peaks
from scs.matching.posing.align import Limits, Poses
from scs.matching.posing.climb import Wanted, climb
from scs.matching.posing.goal import Goal, Measure, PosedMatch
from scs.matching.posing.plan import Ranges, plan_scan
from scs.matching.posing.poses import AxisOption, Steps, angle_steps, scale_steps
from scs.matching.posing.turned_bank import core
from scs.matching.scores import score_map
from scs.matching.threads import Workers, workers

_FOR_EACH = 4  # poses followed, at least, for each match that is asked for

# Of two matches the lower goes when their centres are closer than this share of the template's shorter side.
_APART = 0.5

# Matches that are polished beyond those asked for, in case one of them comes out on top, and how far below the
# threshold they may begin.
_SPARE = 2
_GAIN = 0.1

# Side, in pixels, of the template in the scan that is done first, and the cosine of a match from which on there is no
# finer one. Measured: docs/matching.md.
_FAST, _CERTAIN = 16.0, 0.9

_DECIMALS = 6  # of a score; poses that differ by less differ by rounding alone
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

    The scene is scanned at a low resolution with the template in every angle and scale; at a finer one as well where
    fewer than ``top`` matches come of it that leave no doubt. The best local maxima are
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
    measure = Measure(_method_that_compares_sizes(method), mask, p, q)
    check_options(p, q)
    if top < 1 or candidates < 1:
        raise OptionError(f"top and candidates are at least 1; {top} and {candidates} came")
    scene, template = _picture("scene", scene), _picture("template", template)
    if template.shape[2] != scene.shape[2]:
        raise ShapeError(f"template has {template.shape[2]} channels but scene has {scene.shape[2]}")
    ranges = Ranges(angle_steps(angles), scale_steps(scales))
    goal = Goal(scene, template, measure)
    limits = _limits(template, scene, ranges)
    _check_fit(limits, ranges)
    if goal.flat:
        return []
    wanted = Wanted(threshold, top, max(candidates, _FOR_EACH * top))
    with workers(threads) as spread:
        matches = _posed(goal, ranges, limits, replace(wanted, largest=_FAST), spread)
        if not _are_certain(goal, matches, top) and plan_scan(core(goal.template_plane)[0], ranges).size > _FAST:
            matches = _posed(goal, ranges, limits, wanted, spread)
    if ranges.hold_upright:
        matches = _upright(scene, template, measure, wanted) + matches
    # Of poses that differ by rounding alone the first is kept, which was not moved.
    good = (match for match in matches if match.score >= threshold)
    best = sorted(good, key=lambda match: -round(match.score, _DECIMALS))
    return [_within_turn(match, ranges.angles) for match in _separated(best, template.shape)[:top]]


def _are_certain(goal: Goal, matches: list[PosedMatch], top: int) -> bool:
    """Return whether so many matches are so good that a finer scan would find no better.

    With the mean left in all windows are alike.
    """
    return goal.centred and sum(goal.least_cosine(match.score) >= _CERTAIN for match in matches) >= top


def _posed(goal: Goal, ranges: Ranges, limits: Limits, wanted: Wanted, spread: Workers) -> list[PosedMatch]:
    """Matches with the template turned and scaled, each moved to where its score is highest."""
    poses = climb(goal, ranges, limits, wanted, spread)
    first = [(goal.match(pose), pose) for pose in poses[(limits.room(poses) >= -_HAIR).all(1)]]
    first = [(match, pose) for match, pose in first if match.score >= wanted.threshold - _GAIN]
    rough = dict(sorted(first, key=lambda pair: -pair[0].score))
    chosen = _separated(list(rough), goal.template.shape)[: wanted.top + _SPARE]
    # Room beyond the ends was for errors of measurement on the way; what is answered lies within them.
    angles, scales = ranges.angles, ranges.scales
    asked = replace(limits, angles=(angles.low, angles.high), log_scales=(math.log(scales.low), math.log(scales.high)))
    return list(spread(lambda match: goal.match(_polished(goal, rough[match], asked)), chosen))


def _polished(goal: Goal, pose: Poses, limits: Limits) -> Poses:
    start = pose.copy()
    limits.apply(start[None])
    return goal.polish(start, limits)


def _upright(scene: Array, template: Array, measure: Measure, wanted: Wanted) -> list[PosedMatch]:
    """The best places of the template as it is: cheap to look at one by one, and exact where nothing was turned."""
    height, width = template.shape[:2]
    if height > scene.shape[0] or width > scene.shape[1]:
        return []
    scored = score_map(scene, template, measure.method.name, mask=measure.mask, p=measure.p, q=measure.q)
    least = max(wanted.threshold, 0.0)
    peaks = find_peaks(scored.scores, (height, width), wanted.top, threshold=least, p=measure.exponent)
    return [PosedMatch(peak.column + width / 2, peak.row + height / 2, 0.0, 1.0, peak.score) for peak in peaks]


def _within_turn(match: PosedMatch, turn: Steps) -> PosedMatch:
    """Wrap the angle of a match into the full circle that was searched, whose end alignment may have passed."""
    if turn.high - turn.low < 360:
        return match
    return replace(match, angle=turn.low + (match.angle - turn.low) % 360)


def _limits(template: Array, scene: Array, ranges: Ranges) -> Limits:
    radius = math.hypot(*template.shape[:2]) / 2
    log_scales = Steps.of([math.log(ranges.scales.low), math.log(ranges.scales.high)])
    return Limits(
        angles=_widened(ranges.angles, math.degrees(1 / radius)),
        log_scales=_widened(log_scales, 1 / radius),
        turning=ranges.turning,
        template=(template.shape[0], template.shape[1]),
        scene=(scene.shape[0], scene.shape[1]),
    )


def _widened(steps: Steps, by: float) -> tuple[float, float]:
    """Ends of the steps with room for an error of measurement, or the one value there is."""
    return (steps.low, steps.high) if steps.single else (steps.low - by, steps.high + by)


def _check_fit(limits: Limits, ranges: Ranges) -> None:
    """Refuse a template that fits into the scene at no angle, even at its smallest scale."""
    turn, scale = ranges.angles, ranges.scales.low
    angles = turn.values or np.linspace(turn.low, turn.high, 361).tolist()
    poses = np.array([(0, 0, angle, math.log(scale)) for angle in angles])
    if not (limits.room(poses) >= -_HAIR).all(1).any():
        template, scene = (f"{width}x{height}" for height, width in (limits.template, limits.scene))
        raise ShapeError(
            f"template is {template} but scene is {scene}; a template must fit inside its scene in some pose, and the "
            f"smallest scale is {scale:g}"
        )


def _separated(matches: list[PosedMatch], shape: tuple[int, ...]) -> list[PosedMatch]:
    """Drop matches, sorted best first, that are too close to a better one (NMS by distance)."""
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
