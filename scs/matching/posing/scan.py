"""The coarsest scan: where in place, angle and scale a template at a low resolution matches best."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from scs.matching.posing.align import Poses
from scs.matching.posing.plan import ScanPlan
from scs.matching.posing.resolutions import Plane, SceneResolutions
from scs.matching.posing.turned_bank import TurnedBank
from scs.matching.threads import Workers


def scan(
    plan: ScanPlan, scene: SceneResolutions, centred: bool, least: float, spread: Workers
) -> tuple[Poses, NDArray[np.float32]]:
    """Compare a template in the angles and scales of a plan with every window of a scene.

    Args:
        plan: which template, in which angles and scales, at which size.
        scene: at any resolution.
        centred: whether a window's mean is taken off.
        least: cosine that a pose has to reach.
        spread: a ``map`` on several threads.

    Returns:
        Local maxima over place, angle and scale ``(K, 4)``, and their cosines ``(K,)``.
    """
    banks: dict[float, tuple[TurnedBank, NDArray[np.float64]]] = {}
    poses, scores = [np.empty((0, 4))], [np.empty(0, np.float32)]
    for scale, size in plan.levels():
        if size not in banks:
            tried = plan.angles(size)
            banks[size] = TurnedBank(plan.template, size, tried, centred), np.array(tried)
        bank, angles = banks[size]
        resized = scene.at(min(1.0, size / (plan.template.size * scale)))
        compared = bank.scan(resized.pixels, spread)
        if compared is None:
            continue
        rows, columns = compared.peaks(least)
        profiles = compared.profiles(rows, columns)
        window, angle = np.nonzero(_summits(profiles, plan.ranges.turning) & (profiles >= least))
        x = (columns[window] + bank.side / 2) / resized.x_factor
        y = (rows[window] + bank.side / 2) / resized.y_factor
        poses.append(np.stack([x, y, angles[angle], np.full(len(x), math.log(scale))], 1))
        scores.append(profiles[window, angle])
    return np.concatenate(poses), np.concatenate(scores)


def _summits(profiles: Plane, turning: bool) -> NDArray[np.bool_]:
    """Mark the local maxima of each row of scores, where on a full turn the last is beside the first."""
    before, after = np.roll(profiles, 1, 1), np.roll(profiles, -1, 1)
    if not turning:
        before[:, 0] = after[:, -1] = -np.inf
    highest: NDArray[np.bool_] = (profiles >= before) & (profiles >= after)
    return highest
