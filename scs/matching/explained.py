"""How well a template explains the pixels of a window: moved, scaled and blurred a little, and but for noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from scs.matching.arrays import Array, as_picture, as_weights, magnitude
from scs.matching.products import dot, mixed, times

Plane = NDArray[np.float32]
Vector = NDArray[np.float64]

# Pixels of a template that are looked at: beyond, blocks of pixels are averaged.
_MOST_PIXELS = 4096
# What a template may undergo and still be the same: steps across and down in pixels, growth as a share, and blur as a
# share of the step to the template blurred by a pixel (less than none: sharpened).
_MOST_STEP, _MOST_GROWTH, _MOST_BLUR, _MOST_SHARPENING = 0.8, 0.045, 1.0, 0.4
_SOFT = 0.6  # pixels of blur before differences of neighbours stand for slopes
_COARSE, _LOCAL = 1.5, 1.0  # pixels of blur at which what is left is looked at as a whole, and in its worst spot
# At the rim pixels count less: growth brings the surroundings in, by this share of half a side, and further in, for
# some pixels or a share of each side, blur does, and what is cut out with a thing often is its background.
_BROUGHT_IN, _RIM, _MOST_RIM = 0.03, 4.0, 0.3
_DOUBT = 2.0  # standard deviations of the measured noise that are not taken off
_SAMPLED = 5  # windows of the scene along each side that tell its noise
_SAMPLED_SIDE = 24  # pixels, averaged ones in a large template, along each side of what is looked at of such a window
_QUIET = 0.25  # of them are taken to hold nothing but noise
# Noise may be so many times as strong as its finest part says, where it was compressed or blurred, and its finest part
# so many times as strong as in the quietest windows of the scene: what is more is no noise.
_WHITE = 3.0
_RARE = 1.3  # times the largest value that noise is expected to have, which it seldom passes
_SOME_NOISE, _MUCH_NOISE = 0.1, 0.4  # shares of a window's energy
_FLAT = 1e-9  # of the square of its values: the energy of a window without contrast
_SAME = 2e-4  # of the energy: what rounding leaves


@dataclass(frozen=True)
class Noise:
    """Variance of a scene's noise, as far as a template's pixels count, and of what is left of it after blurring."""

    fine: float
    coarse: float


@dataclass(frozen=True)
class Explained:
    """How well a template explains a window.

    Attributes:
        fine: cosine between the window and the template as it was fitted, noise aside; 0 to 1.
        coarse: the same after blurring.
        worst: the largest difference that is left in one spot, beyond noise, by the range of the template's values;
            differences near the rim count less.
        structure: share of what is left that blurring keeps, beyond what it keeps of white noise; 0 to 1. What is left
            of a copy is noise and fine errors, what is left of something else has a shape.
        strain: sum of the squared changes of the template that were fitted, each by the largest that is allowed.
        same: whether nothing is left, noise or other: the very same pixels, under some light.
    """

    fine: float
    coarse: float
    worst: float
    structure: float
    strain: float
    same: bool = False


NOTHING = Explained(0.0, 0.0, 10.0, 1.0, 0.0)


class Explainer:
    """A template, and what becomes of it as it moves, grows and blurs a little (tangent distance).

    Args:
        template: ``(h, w)``, ``(h, w, C)`` or ``(l,)``.
        mask: weights of its pixels, or None; see ``scs.matching.scores.score_map``.
        unit: what the scenes' values are divided by, so that their squares stay within float32.

    Source:
        Simard, LeCun and Denker, "Efficient Pattern Recognition Using a New Transformation Distance" (1993).
    """

    def __init__(self, template: Array, mask: Array | None = None, unit: float = 1.0) -> None:
        pixels = as_picture("template", template)
        pixels, self._unit = _in_units(pixels, magnitude(pixels)), unit
        self.size = pixels.shape[:2]
        weights = None if mask is None else np.moveaxis(as_weights(mask, pixels.shape), 0, 2)
        self._block = max(1, math.isqrt(self.size[0] * self.size[1] // _MOST_PIXELS))
        self._signal = self.size[0] == 1
        values = self._reduced(pixels)
        self._shape = values.shape
        self._inner = self._depth()
        shown = np.ones_like(values) if weights is None else self._reduced(weights / weights.max())
        self._weights = self._inner * shown
        self._shares = self._weights / np.maximum(self._weights.sum((0, 1)), 1e-12)
        self._roots = np.sqrt(self._weights)
        self._shown = math.sqrt(float(self._weights.mean()))
        self._trend = self._ramp()
        self._model = self._tangents(self._filled(values))
        rows = self._model.astype(np.float64)
        self._normal = np.stack([times(rows, row) for row in rows])
        diagonal = np.diag(self._normal)
        self._damped = self._normal + np.diag(1e-6 * diagonal + 1e-12 * diagonal[0] + 1e-30)
        self._limits = self._most_changes()
        self._coarse, self._local = (self._blurred_model(sigma) for sigma in (_COARSE, _LOCAL))
        self.flat = float(self._normal[0, 0]) <= 1e-12 * max(1.0, float(np.square(values).sum()))

    def explain(self, scene: Array, row: int, column: int, noise: Noise, sign: int = 1) -> Explained:
        """Fit the template to a window.

        Args:
            scene: ``(H, W, C)``.
            row: of the window's first pixel.
            column: likewise.
            noise: of the scene.
            sign: -1 compares with the inverted window.
        """
        window = sign * self._centred(self._window(scene, row, column)).ravel()
        energy = dot(window, window)
        if energy <= self._least_energy(scene) or self.flat:
            return NOTHING
        products = times(self._model, window)
        mix = self._mix(products)
        drawn, shared = float(mix @ self._normal @ mix), float(mix @ products)
        if drawn <= 0 or shared <= 0:
            return NOTHING
        return self._judged(mix * (shared / drawn), window, energy, noise)

    def noise(self, scene: Array) -> Noise:
        """Measure the noise of a scene: what varies even in its quietest windows."""
        rows, columns = (max(0, length - size) for length, size in zip(scene.shape[:2], self.size, strict=True))
        places = {
            (int(row), int(column))
            for row in np.linspace(0, rows, 1 if self._signal else _SAMPLED)
            for column in np.linspace(0, columns, _SAMPLED**2 if self._signal else _SAMPLED)
        }
        windows = np.concatenate([self._sample(scene, *place) for place in places], 2)  # (h, w, windows * C)

        def quiet(values: Plane) -> float:
            energies = np.square(values).mean((0, 1)).reshape(len(places), -1).mean(1)
            return float(np.quantile(energies, _QUIET))

        return Noise(quiet(windows), quiet(self._blurred(windows, _COARSE)))

    def _sample(self, scene: Array, row: int, column: int) -> Plane:
        """What varies in a window, around its middle only; as much of it as a template's pixels count on average."""
        if self._signal:
            return self._centred(self._window(scene, row, column))
        rows, columns = (min(size, _SAMPLED_SIDE * self._block) for size in self.size)
        top, left = row + (self.size[0] - rows) // 2, column + (self.size[1] - columns) // 2
        values = self._reduced(_in_units(scene[top : top + rows, left : left + columns], self._unit))
        varying: Plane = (values - values.mean((0, 1))) * self._shown
        return varying

    def _judged(self, mix: Vector, window: Plane, energy: float, noise: Noise) -> Explained:
        """Compare a window with a mix of the template and its changes, as a whole, blurred, and in its worst spot."""
        weights = mix.astype(np.float32)
        left = (window - mixed(weights, self._model)).reshape(self._shape)
        count = left.size
        white = min(self._white(left), _WHITE * noise.fine)
        fine = max(white, min(noise.fine, _WHITE * white)) * count
        drawn, rest = float(mix @ self._normal @ mix), dot(left, left)
        doubt = _DOUBT * fine * math.sqrt(3 / count)
        cosine = math.sqrt(drawn / (drawn + max(rest - fine, 0.0) + doubt))

        kept = self._kept(_COARSE)
        coarse_noise = max(kept * white, min(noise.coarse, 4 * _WHITE * kept * white))
        drawn_coarse = float(np.square(mixed(weights, self._coarse)).mean())
        left_coarse = float(np.square(self._blurred(left, _COARSE)).mean())
        doubt = _DOUBT * coarse_noise / math.sqrt(max(1.0, count * kept))
        beyond = max(left_coarse - coarse_noise, 0.0) + doubt
        coarse = math.sqrt(drawn_coarse / (drawn_coarse + beyond)) if drawn_coarse else 0.0
        same = rest <= _SAME * (drawn + rest)
        # What is mostly noise is judged by what is left of it after blurring.
        noisy = min(max((fine / energy - _SOME_NOISE) / (_MUCH_NOISE - _SOME_NOISE), 0.0), 1.0)
        cosine += noisy * max(coarse - cosine, 0.0)
        worst = self._worst(weights, left, white)
        structure = min(max(left_coarse * count / rest - kept, 0.0) / (1 - kept), 1.0) if rest else 0.0
        strain = float(np.square(mix[1:] / (mix[0] * self._limits[0])).sum())
        return Explained(cosine, coarse, worst, structure, strain, same)

    def _worst(self, weights: Plane, left: Plane, white: float) -> float:
        spots = self._blurred(left, _LOCAL) * self._inner
        span = float(np.ptp(mixed(weights, self._local).reshape(self._shape), axis=(0, 1)).max())
        kept = self._kept(_LOCAL)
        usual = _RARE * math.sqrt(2 * math.log(2 + 2 * left.size * kept) * white * kept)
        largest = max(float(spots.max()), -float(spots.min()))
        return min(max(largest - usual, 0.0) / span, 10.0) if span else 10.0

    def _mix(self, products: Plane) -> Vector:
        """How much of the template and of each of its changes a window asks for, within limits."""
        plain: Vector = np.eye(len(self._model))[0]
        found = np.linalg.solve(self._damped, products.astype(np.float64))
        if found[0] <= 0:
            return plain
        mix: Vector = np.concatenate([[1.0], np.clip(found[1:] / found[0], -self._limits[1], self._limits[0])])
        energy = max(float(mix @ self._normal @ mix), 1e-30)
        least = float(products[0]) / math.sqrt(float(self._normal[0, 0]))
        return mix if float(mix @ products) / math.sqrt(energy) > least else plain

    def _least_energy(self, scene: Array) -> float:
        """Energy of a window below which it has no contrast, but for rounding."""
        some = scene[:: max(1, scene.shape[0] // 8), :: max(1, scene.shape[1] // 64)]
        return _FLAT * (max(float(some.max()), -float(some.min())) / self._unit) ** 2

    def _most_changes(self) -> tuple[Vector, Vector]:
        """Largest changes of each kind, forwards and backwards."""
        steps = [_MOST_STEP / self._block] * (1 if self._signal else 2)
        ahead = np.array([*steps, _MOST_GROWTH, _MOST_BLUR / self._block])
        back = np.array([*steps, _MOST_GROWTH, _MOST_SHARPENING / self._block])
        return ahead, back

    def _tangents(self, values: Plane) -> Plane:
        """The template, and how it changes across, down, as it grows and as it blurs, ``(4 or 5, numbers)``."""
        soft = self._blurred(values, _SOFT)
        across = np.gradient(soft, axis=1) if values.shape[1] > 1 else np.zeros_like(soft)
        x = (np.arange(values.shape[1]) - (values.shape[1] - 1) / 2)[None, :, None]
        growth, steps = x * across, [across]
        if not self._signal:
            down = np.gradient(soft, axis=0) if values.shape[0] > 1 else np.zeros_like(soft)
            growth = growth + (np.arange(values.shape[0]) - (values.shape[0] - 1) / 2)[:, None, None] * down
            steps.append(down)
        changes: Sequence[Plane] = [values, *steps, growth, self._blurred(values, 1.0) - values]
        return np.stack([self._centred(change).ravel() for change in changes]).astype(np.float32)

    def _blurred_model(self, sigma: float) -> Plane:
        return np.stack([self._blurred(one.reshape(self._shape), sigma).ravel() for one in self._model])

    def _depth(self) -> Plane:
        """How far each pixel is from the rim, by the rim's width, 0 to 1, ``(h, w, 1)``."""
        down, right = (self._depth_along(length) for length in self._shape[:2])
        near = right[None, :] if self._signal else np.minimum(down[:, None], right[None, :])
        depth: Plane = near[..., None].astype(np.float32)
        return depth

    def _depth_along(self, length: int) -> Vector:
        steps = np.arange(length) + 0.5
        rim = min(_RIM / self._block, _MOST_RIM * length)
        depth: Vector = np.clip((np.minimum(steps, length - steps) - _BROUGHT_IN * length / 2) / rim, 0.0, 1.0)
        return depth

    def _ramp(self) -> Plane:
        """A straight line along a signal, of weighted mean 0 and weighted mean square 1."""
        steps = np.linspace(-1, 1, self._shape[1], dtype=np.float32)[None, :, None]
        steps = steps - (steps * self._shares).sum((0, 1))
        ramp: Plane = steps / np.sqrt(np.maximum((steps**2 * self._shares).sum((0, 1)), 1e-12))
        return ramp

    def _filled(self, values: Plane) -> Plane:
        """Give pixels that the mask hides the values of those around them, lest what they hold shows in slopes."""
        if self._weights.min() > 0:
            return values
        around = self._blurred(values * self._weights, 2.0) / np.maximum(self._blurred(self._weights, 2.0), 1e-6)
        filled: Plane = np.where(self._weights > 0, values, around).astype(np.float32)
        return filled

    def _centred(self, values: Plane) -> Plane:
        """Values less their weighted mean, each times the root of its weight; a signal also loses its trend."""
        centred = values - (values * self._shares).sum((0, 1))
        if self._signal:
            centred = centred - (centred * self._shares * self._trend).sum((0, 1)) * self._trend
        weighted: Plane = centred * self._roots
        return weighted

    def _window(self, scene: Array, row: int, column: int) -> Plane:
        height, width = self.size
        row = min(max(row, 0), scene.shape[0] - height)
        column = min(max(column, 0), scene.shape[1] - width)
        return self._reduced(_in_units(scene[row : row + height, column : column + width], self._unit))

    def _reduced(self, pixels: Array) -> Plane:
        values: Plane = np.asarray(pixels, np.float32)
        if self._block == 1:
            return values
        size = max(1, values.shape[1] // self._block), 1 if self._signal else max(1, values.shape[0] // self._block)
        smaller = cv2.resize(values, size, interpolation=cv2.INTER_AREA)
        return np.asarray(smaller, np.float32).reshape(size[1], size[0], -1)

    def _blurred(self, values: Array, sigma: float) -> Plane:
        along = 1e-3 if self._signal else sigma
        parts = [
            cv2.GaussianBlur(
                np.ascontiguousarray(values[..., first : first + 4], np.float32),
                (0, 0),
                sigmaX=sigma,
                sigmaY=along,
                borderType=cv2.BORDER_REPLICATE,
            ).reshape(*values.shape[:2], -1)
            for first in range(0, values.shape[2], 4)
        ]
        return np.asarray(parts[0] if len(parts) == 1 else np.concatenate(parts, 2), np.float32)

    def _kept(self, sigma: float) -> float:
        """Share of white noise's energy that a blur keeps."""
        return 1 / (2 * math.sqrt(math.pi) * sigma) if self._signal else 1 / (4 * math.pi * sigma**2)

    def _white(self, left: Plane) -> float:
        """Variance of white noise, by its finest part."""
        if self._signal or left.shape[1] < 2 or left.shape[0] < 2:
            line = left.reshape(-1, left.shape[2])
            finest = (line[:-2] - 2 * line[1:-1] + line[2:]) / math.sqrt(6)
        else:
            finest = (left[:-1, :-1] - left[1:, :-1] - left[:-1, 1:] + left[1:, 1:]) / 2
        return float(np.square(finest).mean()) if finest.size else 0.0


def _in_units(pixels: Array, unit: float) -> Array:
    return pixels if unit == 1 else pixels / unit
