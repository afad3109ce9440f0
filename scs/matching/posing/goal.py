"""The objective of a pose search: the score of a template in a pose, and the pose in which it is highest."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scs.matching.arrays import Array, as_weights, magnitude
from scs.matching.methods import Method
from scs.matching.posing.align import ANGLE, LOG_SCALE, WORST_COSINE, Limits, Poses, X, Y, damped_solver
from scs.matching.posing.poses import Box, PosedTemplate, pose_template
from scs.matching.posing.resolutions import Plane, TemplatePlane

_MOST_STEPS = 4
_PROBE = 0.25  # pixels by which the centre or the rim is moved to see how the template changes
_ENOUGH = 1e-6  # gain in cosine below which a step was the last

# A window whose deviations, or a template whose, are below this share of its values is flat: it has no angle.
_FLAT = 1e-6


@dataclass(frozen=True)
class PosedMatch:
    """A match with its pose: position, angle, scale and score.

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


@dataclass(frozen=True)
class Measure:
    """A measure of similarity: method, mask, exponent and noise floor.

    Attributes:
        method: a normalised one whose scores grow with likeness.
        mask: ``(h, w)`` or ``(h, w, C)``, weights >= 0 of the template's pixels, or None.
        p: exponent of the sharpened methods.
        q: their noise floor.
    """

    method: Method
    mask: Array | None
    p: float
    q: float

    @property
    def sharpened(self) -> bool:
        """Whether the method is a sharpened cosine similarity."""
        return self.method.kind == "similarity"

    @property
    def exponent(self) -> float:
        """Exponent that the scores are sharpened by; 1 where they are not."""
        return self.p if self.sharpened else 1.0


class Goal:
    """The objective of a pose search: a template, the scene, and the measure that compares them.

    Args:
        scene: ``(H, W, C)``.
        template: ``(h, w, C)``.
        measure: of the two.
    """

    def __init__(self, scene: Array, template: Array, measure: Measure) -> None:
        mask = None if measure.mask is None else _weights(measure.mask, template)
        units = magnitude(scene), magnitude(template)
        # Divided by powers of two, which takes nothing off them, squares stay within float32.
        scene, template = (
            (pixels / unit).astype(np.float32) if unit != 1 else pixels
            for pixels, unit in zip((scene, template), units, strict=True)
        )
        self.scene, self.template, self.mask = scene, template, mask
        self._floors = measure.q / units[0], measure.q / units[1]
        self.centred = measure.method.centred
        self._measure = measure
        self.scene_plane, self.template_plane = _planes(scene, template, mask, self.centred)
        still = pose_template(template, 0, 1, mask=mask)
        self.flat = _norm(_weighted(still.pixels, still.weights, self.centred), still.pixels, still.weights) == 0
        self._radius = math.hypot(*template.shape[:2]) / 2

    def least_cosine(self, score: float) -> float:
        """Return the least cosine that gives a score this high."""
        least = max(score, 0.0)
        return float(least ** (1 / self._measure.exponent))

    def match(self, pose: Poses) -> PosedMatch:
        """Score the template in a pose."""
        posed = self._posed(pose)
        window, inside = self._window(posed.box)
        weights = posed.weights * inside
        seen, sought = _weighted(window, weights, self.centred), _weighted(posed.pixels, weights, self.centred)
        score = self._score(float(seen @ sought), _norm(seen, window, weights), _norm(sought, posed.pixels, weights))
        return PosedMatch(float(pose[X]), float(pose[Y]), float(pose[ANGLE]), math.exp(pose[LOG_SCALE]), score)

    def polish(self, pose: Poses, limits: Limits) -> Poses:
        """Move a pose to where the cosine between the scene and the posed template is highest.

        Gauss-Newton steps, with the template posed anew around each pose to see how it changes; they end where the
        cosine no longer rises.
        """
        best, highest = pose, -1.0
        for _ in range(_MOST_STEPS):
            cosine, move = self._uphill(pose, limits.free)
            if cosine <= highest + _ENOUGH:
                break
            best, highest = pose, cosine
            pose = pose + move
            limits.apply(pose[None])
        return best

    def _uphill(self, pose: Poses, free: list[int]) -> tuple[float, NDArray[np.float64]]:
        """Compute the cosine in a pose, and the Gauss-Newton step that should raise it most."""
        scale = math.exp(pose[LOG_SCALE])
        rim = _PROBE / (self._radius * scale)
        probes = np.diag([_PROBE, _PROBE, math.degrees(rim), rim])
        still = self._posed(pose)
        window, inside = self._window(still.box)
        weights = still.weights * inside
        sought = _weighted(still.pixels, weights, self.centred)
        seen = _weighted(window, weights, self.centred)
        sought_norm, seen_norm = _norm(sought, still.pixels, weights), _norm(seen, window, weights)
        if not sought_norm or not seen_norm:
            return -1.0, np.zeros(4)
        sought, seen = sought / sought_norm, seen / seen_norm
        cosine = float(seen @ sought)
        slopes = []
        for column in free:
            # Where the template comes to lie changes with the pose, but hardly within the step of a probe.
            ahead, behind = (self._posed(pose + sign * probes[column], still.box) for sign in (1, -1))
            slopes.append(_weighted(ahead.pixels - behind.pixels, weights, self.centred) / (2 * sought_norm))
        slope = np.stack(slopes, 1)
        slope = slope - np.outer(sought, sought @ slope)
        move = np.zeros(4)
        move[free] = (seen / max(cosine, WORST_COSINE)) @ damped_solver(slope) * np.diag(probes)[free]
        return cosine, move

    def _posed(self, pose: Poses, box: Box | None = None) -> PosedTemplate:
        angle, scale, centre = pose[ANGLE], math.exp(pose[LOG_SCALE]), (pose[X], pose[Y])
        return pose_template(self.template, angle, scale, mask=self.mask, centre=centre, box=box)

    def _window(self, box: Box) -> tuple[Plane, Plane]:
        """The scene's pixels in a box ``(rows, columns, C)``, and which of them there are ``(rows, columns, 1)``."""
        rows, columns = np.arange(box.row, box.row + box.rows), np.arange(box.column, box.column + box.columns)
        height, width = self.scene.shape[:2]
        window = self.scene[rows.clip(0, height - 1)[:, None], columns.clip(0, width - 1)].astype(np.float32)
        inside = ((rows >= 0) & (rows < height))[:, None] & (columns >= 0) & (columns < width)
        return window.reshape(box.rows, box.columns, -1), inside[..., None].astype(np.float32)

    def _score(self, product: float, seen: float, sought: float) -> float:
        """Score two vectors from their product and their norms; 0 where one of them is flat."""
        if not seen or not sought:
            return 0.0
        if not self._measure.sharpened:
            return min(1.0, product / (seen * sought))
        cosine = product / ((seen + self._floors[0]) * (sought + self._floors[1]))
        return math.copysign(min(1.0, abs(cosine)) ** self._measure.p, cosine)


def _weighted(pixels: Plane, weights: Plane, centred: bool) -> Plane:
    """Pixels as one vector, times their weights, each channel without its weighted mean if so wanted."""
    if centred:
        total = np.maximum(np.broadcast_to(weights, pixels.shape).sum((0, 1)), 1e-12)
        pixels = pixels - (weights * pixels).sum((0, 1)) / total
    return (weights * pixels).ravel()


def _norm(vector: Plane, pixels: Plane, weights: Plane) -> float:
    """Norm of weighted pixels; 0 where it is no more than rounding error."""
    norm = float(np.linalg.norm(vector))
    return norm if norm > _FLAT * float(np.linalg.norm(weights * pixels)) else 0.0


def _planes(scene: Array, template: Array, mask: Array | None, centred: bool) -> tuple[Plane, TemplatePlane]:
    """Project scene and template on one channel, the first principal component of the template's colours."""
    weights = None if mask is None else np.asarray(mask, np.float32).mean(2)
    direction = np.ones(1, np.float32)
    if scene.shape[2] > 1:
        colours = template.reshape(-1, template.shape[2]).astype(np.float64)
        shares = np.ones(len(colours)) if weights is None else weights.ravel().astype(np.float64)
        shares /= max(shares.sum(), 1e-12)
        if centred:
            colours = colours - shares @ colours
        _, directions = np.linalg.eigh((colours * shares[:, None]).T @ colours)
        direction = directions[:, -1].astype(np.float32)
        if direction.sum() < 0:
            direction = -direction
    scene_plane, template_plane = (picture.astype(np.float32) @ direction for picture in (scene, template))
    return scene_plane, TemplatePlane(template_plane, weights)


def _weights(mask: Array, template: Array) -> Plane:
    """``(h, w, 1)`` if all channels share their weights, else ``(h, w, C)``."""
    weights = np.moveaxis(as_weights(mask, template.shape), 0, 2)
    return np.ascontiguousarray(weights if np.ndim(mask) == 3 else weights[..., :1], np.float32)
