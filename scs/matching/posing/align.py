"""Alignment of poses to a scene (Lucas-Kanade), finer than a pixel and than the steps they were found in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scs.matching.posing.poses import turn_and_scale
from scs.matching.posing.resolutions import Plane, SceneResolutions, TemplatePlane, interpolated, nearest_rungs
from scs.matching.products import LARGEST
from scs.matching.threads import Workers

# Columns of an array of poses: where the template's centre lies, degrees, and the logarithm of the scale.
X, Y, ANGLE, LOG_SCALE = range(4)
Poses = NDArray[np.float64]

# The largest move in one step, in grid spacings for the centre and in radians or powers of e for angle and scale:
# further off the template's slope says nothing about where it belongs.
_LONGEST_MOVE = 2.0
_LARGEST_TURN = 0.2

# A poor fit is taken for at least this good, or its correction would be blown up without bound.
WORST_COSINE = 0.3

# Share of its own size that is added to each entry of the normal equations' diagonal: a template that varies in one
# direction only then stays where it is along the other.
_DAMPING = 1e-3


@dataclass(frozen=True)
class Limits:
    """The limits of an alignment: which parameters of a pose may change, and how far.

    Attributes:
        angles: lowest and highest, degrees; equal where the angle is fixed.
        log_scales: likewise.
        turning: whether the angles are the whole circle, and have no ends.
        template: its height and width.
        scene: likewise; a template may not leave it.
    """

    angles: tuple[float, float]
    log_scales: tuple[float, float]
    turning: bool
    template: tuple[int, int]
    scene: tuple[int, int]

    @property
    def free(self) -> list[int]:
        """Columns of the parameters of a pose that may change."""
        fixed = {ANGLE: self.angles, LOG_SCALE: self.log_scales}
        return [column for column in range(4) if column not in fixed or fixed[column][0] < fixed[column][1]]

    def room(self, poses: Poses) -> NDArray[np.float64]:
        """Compute how far a template's centre may lie from the scene's, ``(K, 2)``, across and down.

        Below zero, the template does not fit.
        """
        angles, scales = np.radians(poses[:, ANGLE]), np.exp(poses[:, LOG_SCALE])
        cosines, sines = np.abs(scales * np.cos(angles)), np.abs(scales * np.sin(angles))
        height, width = self.template
        reach = np.stack([cosines * width + sines * height, sines * width + cosines * height], 1) / 2
        return np.array(self.scene[::-1]) / 2 - reach

    def apply(self, poses: Poses) -> None:
        """Clip poses to the limits, in place; the position of one too large for the scene is left as it is."""
        if not self.turning:
            poses[:, ANGLE] = poses[:, ANGLE].clip(*self.angles)
        poses[:, LOG_SCALE] = poses[:, LOG_SCALE].clip(*self.log_scales)
        room = self.room(poses)
        room = np.where(room < 0, np.inf, room)
        middle = np.array(self.scene[::-1]) / 2
        poses[:, :2] = poses[:, :2].clip(middle - room, middle + room)


class Aligner:
    """An inverse compositional aligner: a template on a grid of points at which a scene is sampled pose by pose.

    The step is that of inverse compositional alignment: slopes and normal equations belong to the template, and are
    made once for all the poses. Gain and offset of the scene drop out, as they do from the cosine.

    Args:
        template: at its full resolution.
        size: side of the square of the template's area, in points of the grid.
        centred: whether the mean is taken off.

    Source:
        S. Baker and I. Matthews, "Lucas-Kanade 20 Years On: A Unifying Framework" (2004); G. Evangelidis and
        E. Psarakis, "Parametric Image Alignment Using Enhanced Correlation Coefficient Maximization" (2008).
    """

    def __init__(self, template: TemplatePlane, size: float, centred: bool) -> None:
        height, width = template.pixels.shape
        self.spacing = template.size / size
        self.centred = centred
        self._template_size = template.size
        rows, columns = max(2, round(height / self.spacing)), max(2, round(width / self.spacing))
        x = (np.arange(columns) + 0.5) * (width / columns) - width / 2
        y = (np.arange(rows) + 0.5) * (height / rows) - height / 2
        x, y = (axis.ravel() for axis in np.meshgrid(x, y))
        seen = template.seen_at(self.spacing)
        values, weights = seen.sampled(x, y)
        shown = weights > 0
        x, y, values, weights = x[shown], y[shown], values[shown], weights[shown]
        self._grid = np.stack([x, y, np.ones_like(x)]).astype(np.float32)
        self._weights = np.sqrt(weights)  # enter once with each of the two factors of a product
        self._shares = weights / weights.sum()

        half = self.spacing / 2
        step_x = (seen.sampled(x + half, y)[0] - seen.sampled(x - half, y)[0]) / self.spacing
        step_y = (seen.sampled(x, y + half)[0] - seen.sampled(x, y - half)[0]) / self.spacing
        # How the values change as the template moves in x and y, turns (counter-clockwise, y down) and grows.
        slopes = np.stack([step_x, step_y, step_x * y - step_y * x, step_x * x + step_y * y], 1)
        if centred:
            values = values - self._shares @ values
            slopes = slopes - self._shares @ slopes
        values, slopes = values * self._weights, slopes * self._weights[:, None]
        norm = max(float(np.linalg.norm(values)), 1e-12)
        self._values = (values / norm).astype(np.float32)
        self._slopes = slopes / norm - np.outer(self._values, self._values @ slopes / norm)

    @property
    def points(self) -> int:
        """How many points there are on the grid."""
        return len(self._values)

    def refine(
        self, scene: SceneResolutions, poses: Poses, limits: Limits, steps: int, workers: Workers
    ) -> tuple[Poses, NDArray[np.float32]]:
        """Refine each pose by Gauss-Newton steps towards a higher cosine.

        Returns:
            The best pose met on each one's way ``(K, 4)``, and its cosine ``(K,)``.
        """
        solver = self._solver(limits.free)
        rungs = nearest_rungs(1 / (self.spacing * np.exp(poses[:, LOG_SCALE])))
        for rung in np.unique(rungs):
            scene.rung(int(rung))  # made before threads ask for it
        best, highest = poses.copy(), np.full(len(poses), -np.inf, np.float32)

        def climb(chosen: NDArray[np.intp]) -> None:
            moving = poses[chosen]
            for remaining in range(steps, -1, -1):
                windows, cosines = self._compare(self._sample(scene, moving))
                better = cosines > highest[chosen]
                best[chosen[better]], highest[chosen[better]] = moving[better], cosines[better]
                if remaining:
                    self._move(moving, (windows @ solver) / np.maximum(cosines, WORST_COSINE)[:, None])
                    limits.apply(moving)

        # Neighbours in scale are sampled from the same resolutions of the scene.
        order = np.argsort(poses[:, LOG_SCALE], kind="stable")
        together = max(1, LARGEST // (4 * self.points))
        list(workers(climb, [order[first : first + together] for first in range(0, len(order), together)]))
        return best, highest

    def _solver(self, free: list[int]) -> Plane:
        """``(points, 4)``: a window's product with it is the move that brings the window onto the template."""
        solver = np.zeros((self.points, 4), np.float32)
        solver[:, free] = damped_solver(self._slopes[:, free])
        return solver

    def _sample(self, scene: SceneResolutions, poses: Poses) -> Plane:
        """The scene's values at the grid's points in each pose, ``(K, points)``."""
        scales = np.exp(poses[:, LOG_SCALE])
        rungs = nearest_rungs(1 / (self.spacing * scales))
        forward = np.stack([turn_and_scale(angle, scale) for angle, scale in zip(poses[:, ANGLE], scales, strict=True)])
        affine = np.concatenate([forward, poses[:, :2, None]], 2).astype(np.float32)  # (K, 2, 3)
        windows = np.empty((len(poses), self.points), np.float32)
        for rung in np.unique(rungs):
            chosen = rungs == rung
            resized = scene.rung(int(rung))
            x = (resized.x_factor * affine[chosen, 0]) @ self._grid
            y = (resized.y_factor * affine[chosen, 1]) @ self._grid
            windows[chosen] = interpolated(resized.pixels, x, y)
        return windows

    def _compare(self, windows: Plane) -> tuple[Plane, NDArray[np.float32]]:
        """Windows without their means and of norm one, and their cosines with the template."""
        if self.centred:
            windows -= (windows @ self._shares)[:, None]
        windows *= self._weights
        norms = np.sqrt(np.einsum("kp,kp->k", windows, windows))
        windows /= np.maximum(norms, 1e-6)[:, None]
        return windows, windows @ self._values

    def _move(self, poses: Poses, moves: NDArray[np.floating]) -> None:
        """Update poses by the inverse of the template's move, whose length is limited (inverse compositional step)."""
        longest = _LONGEST_MOVE * self.spacing
        across, down = moves[:, 0].clip(-longest, longest), moves[:, 1].clip(-longest, longest)
        turns, growths = moves[:, 2:].clip(-_LARGEST_TURN, _LARGEST_TURN).T
        angles, scales = np.radians(poses[:, ANGLE]), np.exp(poses[:, LOG_SCALE])
        cosines, sines = scales * np.cos(angles), scales * np.sin(angles)
        poses[:, X] -= cosines * across + sines * down
        poses[:, Y] -= cosines * down - sines * across
        poses[:, ANGLE] -= np.degrees(turns)
        poses[:, LOG_SCALE] -= growths


def damped_solver(slopes: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return ``(points, n)``: a residual's product with it is the damped least-squares step along the slopes."""
    normal = slopes.T @ slopes
    diagonal = np.diag(normal)
    normal = normal + np.diag(_DAMPING * diagonal + 1e-12 * diagonal.max() + 1e-30)
    return np.linalg.solve(normal, slopes.T).T
