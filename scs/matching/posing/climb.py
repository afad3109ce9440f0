"""Coarse-to-fine search: poses from the coarsest scan, aligned at one resolution after the other, fewer at each."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scs.matching.posing.align import ANGLE, LOG_SCALE, Aligner, Limits, Poses, X, Y
from scs.matching.posing.goal import Goal
from scs.matching.posing.plan import Ranges, climbing_sizes, plan_scan, size_in_scene
from scs.matching.posing.poses import turn_and_scale
from scs.matching.posing.resolutions import SceneResolutions
from scs.matching.posing.scan import scan
from scs.matching.posing.turned_bank import core
from scs.matching.threads import Workers

# What a match may score below the threshold at the coarsest resolution, where it lies between steps. Measured:
# docs/matching.md says how many matches of the full search that loses. Whatever the threshold, a cosine below
# the least one says nothing.
_MARGIN = 0.25
_LEAST_COSINE = 0.05

# A template is never looked at in more pixels than the scene has for it, but for this factor.
_MAGNIFICATION = 1.2
_NEARLY = 0.99  # of a size is as good as the size

_FIRST_STEPS, _LATER_STEPS = 3, 2  # of alignment, at the coarsest resolution and at those above it
_LEAST_KEPT = 30  # poses, at every resolution
_LEAST_SCORED = 10  # poses, with the posed template itself
_FOR_EACH = 3  # poses kept, at least, for each match that is asked for

# Poses on the way up are the same when they fall into one cell this wide: in sides of the template for its centre, in
# radians and in powers of e for angle and scale.
_SAME = 0.1


@dataclass(frozen=True)
class Wanted:
    """The limits on what a search returns and on what it follows.

    Attributes:
        threshold: least score of a match.
        top: how many matches at most.
        candidates: poses that are followed from the coarsest resolution.
        largest: size of the template in the coarsest scan.
    """

    threshold: float
    top: int
    candidates: int
    largest: float = math.inf


def climb(goal: Goal, ranges: Ranges, limits: Limits, wanted: Wanted, spread: Workers) -> Poses:
    """Scan at the coarsest resolution, align there and at each finer one, and return the poses left, best first."""
    template, scene = goal.template_plane, SceneResolutions(goal.scene_plane)
    poses, scores, coarsest = _scanned(goal, scene, ranges, limits, wanted, spread)
    limits.apply(poses)
    smallest = min(coarsest, size_in_scene(template, ranges.scales.low))
    points = None
    for size in climbing_sizes(smallest, coarsest, template.size):
        here = np.exp(poses[:, LOG_SCALE]) * template.size  # of the template in the scene
        moving = size >= _NEARLY * np.minimum(coarsest, here)
        moving &= size <= _MAGNIFICATION * np.maximum(here, smallest)
        if moving.any():
            aligner = Aligner(template, size, goal.centred)
            steps = _LATER_STEPS if points else _FIRST_STEPS
            points = points or aligner.points
            poses[moving], scores[moving] = aligner.refine(scene, poses[moving], limits, steps, spread)
            affordable = wanted.candidates * points // (2 * aligner.points)
            kept = max(affordable, _FOR_EACH * wanted.top, _LEAST_KEPT)
            poses, scores = _distinct(poses, scores, template.size, kept)
    return poses[: max(_FOR_EACH * wanted.top, _LEAST_SCORED)]


def _scanned(
    goal: Goal, scene: SceneResolutions, ranges: Ranges, limits: Limits, wanted: Wanted, spread: Workers
) -> tuple[Poses, NDArray[np.float32], float]:
    """The best of the coarsest scan, their cosines, and the template's size there."""
    part, offset = core(goal.template_plane)
    plan = plan_scan(part, ranges, wanted.largest)
    least = max(goal.least_cosine(wanted.threshold) - _MARGIN, _LEAST_COSINE)
    poses, scores = scan(plan, scene, goal.centred, least, spread)
    chosen = np.argsort(-scores, kind="stable")[: wanted.candidates]
    poses, scores = poses[chosen], scores[chosen]
    if part is goal.template_plane:
        return poses, scores, plan.size
    # A part is aligned by itself, or the error of its angle would throw the far end of the whole off.
    aligner = Aligner(part, plan.size, goal.centred)
    height, width = part.pixels.shape
    poses, scores = aligner.refine(scene, poses, replace(limits, template=(height, width)), _FIRST_STEPS, spread)
    for pose in poses:
        pose[:2] -= turn_and_scale(pose[ANGLE], math.exp(pose[LOG_SCALE])) @ offset
    return poses, scores, plan.size * goal.template_plane.size / part.size


def _distinct(poses: Poses, scores: NDArray[np.float32], side: float, most: int) -> tuple[Poses, NDArray[np.float32]]:
    """Sort poses best first, and keep only the best of those that are nearly the same."""
    order = np.argsort(-scores, kind="stable")
    poses, scores = poses[order], scores[order]
    growths = np.rint(poses[:, LOG_SCALE] / _SAME)
    reach = _SAME * side * np.exp(_SAME * growths)
    turns = np.rint(np.radians(poses[:, ANGLE] % 360) / _SAME)
    cells = np.stack([np.rint(poses[:, X] / reach), np.rint(poses[:, Y] / reach), turns, growths], 1)
    _, firsts = np.unique(cells, axis=0, return_index=True)
    kept = np.sort(firsts)[:most]
    return poses[kept], scores[kept]
