"""How well a template explains the pixels of a window: moved, scaled and blurred a little, and but for noise."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scs.matching.arrays import Array, as_picture, as_weights, magnitude
from scs.matching.presence.averaged import averaged
from scs.matching.presence.blurred import blurred
from scs.matching.products import LARGEST

Plane = NDArray[np.float32]  # (h, w, C), or a stack of them (N, h, w, C)
Rows = NDArray[np.float32]  # (N, numbers)
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
_BY_CHANCE = 0.6  # of the variance of changes that white noise has a fit make; none in signals
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
        strain: sum of the squared changes of the template that were fitted, each by the largest that is allowed, less
            what noise alone has a fit make of them.
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
        self._trend = self._ramp() if self._signal else None
        self._model = self._tangents(self._filled(values))
        rows = self._model.astype(np.float64)
        self._normal = np.einsum("ik,jk->ij", rows, rows)
        diagonal = np.diag(self._normal)
        self._damped = self._normal + np.diag(1e-6 * diagonal + 1e-12 * diagonal[0] + 1e-30)
        self._uncertainty = np.diag(np.linalg.inv(self._damped))[1:] * (0.0 if self._signal else _BY_CHANCE)
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
        return self.explain_all(scene, [(row, column)], noise, [sign])[0]

    def explain_all(
        self, scene: Array, places: Sequence[tuple[int, int]], noise: Noise, signs: Sequence[int]
    ) -> list[Explained]:
        """Fit the template to several windows; see :meth:`explain`.

        Args:
            scene: ``(H, W, C)``.
            places: row and column of each window's first pixel.
            noise: of the scene.
            signs: one for each window.
        """
        # As many at once as their product with the template and its changes stays in one thread.
        most = max(1, LARGEST // self._model.size)
        return [
            explained
            for first in range(0, len(places), most)
            for explained in self._explained(scene, places[first : first + most], noise, signs[first : first + most])
        ]

    def _explained(
        self, scene: Array, places: Sequence[tuple[int, int]], noise: Noise, signs: Sequence[int]
    ) -> list[Explained]:
        if self.flat:
            return [NOTHING] * len(places)
        windows = self._centred(np.stack([self._window(scene, row, column) for row, column in places]))
        windows = windows.reshape(len(places), -1) * np.array(signs, np.float32)[:, None]
        energies, products = _energies(windows), windows @ self._model.T
        mixes = self._mixes(products)
        drawn, shared = self._drawn(mixes), (mixes * products).sum(1)
        told = (energies > self._least_energy(scene)) & (drawn > 0) & (shared > 0)
        if not told.any():
            return [NOTHING] * len(places)
        mixes *= (shared / np.where(told, drawn, 1.0))[:, None]
        judged = iter(self._judged(mixes[told], windows[told], energies[told], noise))
        return [next(judged) if one else NOTHING for one in told]

    def noise(self, scene: Array) -> Noise:
        """Measure the noise of a scene: what varies even in its quietest windows."""
        rows, columns = (max(0, length - size) for length, size in zip(scene.shape[:2], self.size, strict=True))
        places = {
            (int(row), int(column))
            for row in np.linspace(0, rows, 1 if self._signal else _SAMPLED)
            for column in np.linspace(0, columns, _SAMPLED**2 if self._signal else _SAMPLED)
        }
        windows = self._samples(scene, list(places))

        def quiet(values: Plane) -> float:
            energies = np.sort(_energies(values)) / values[0].size
            return float(np.interp(_QUIET * (len(energies) - 1), np.arange(len(energies)), energies))

        return Noise(quiet(windows), quiet(self._blurred(windows, _COARSE)))

    def _samples(self, scene: Array, places: Sequence[tuple[int, int]]) -> Plane:
        """What varies in windows, around their middle only; as much of it as a template's pixels count on average."""
        if self._signal:
            return self._centred(np.stack([self._window(scene, *place) for place in places]))
        rows, columns = (min(size, _SAMPLED_SIDE * self._block) for size in self.size)
        down, right = (self.size[0] - rows) // 2, (self.size[1] - columns) // 2
        values = np.stack([self._part(scene, row + down, column + right, rows, columns) for row, column in places])
        varying: Plane = (values - values.mean((1, 2), keepdims=True)) * np.float32(self._shown)
        return varying

    def _judged(self, mixes: Vector, windows: Rows, energies: Vector, noise: Noise) -> Iterator[Explained]:
        """Compare windows with mixes of the template and its changes, as a whole, blurred, and in their worst spots."""
        weights = mixes.astype(np.float32)
        left = (windows - weights @ self._model).reshape(-1, *self._shape)
        count = windows.shape[1]
        white = np.minimum(self._white(left), _WHITE * noise.fine)
        fine = np.maximum(white, np.minimum(noise.fine, _WHITE * white)) * count
        drawn, rest = self._drawn(mixes), _energies(left)
        doubt = _DOUBT * fine * math.sqrt(3 / count)
        cosine = np.sqrt(drawn / (drawn + np.maximum(rest - fine, 0.0) + doubt))

        kept = self._kept(_COARSE)
        coarse_noise = np.maximum(kept * white, np.minimum(noise.coarse, 4 * _WHITE * kept * white))
        drawn_coarse = _energies(weights @ self._coarse) / count
        left_coarse = _energies(self._blurred(left, _COARSE)) / count
        doubt = _DOUBT * coarse_noise / math.sqrt(max(1.0, count * kept))
        beyond = np.maximum(left_coarse - coarse_noise, 0.0) + doubt
        coarse = np.sqrt(drawn_coarse / np.maximum(drawn_coarse + beyond, 1e-300))
        same = rest <= _SAME * (drawn + rest)
        # What is mostly noise is judged by what is left of it after blurring.
        noisy = np.clip((fine / energies - _SOME_NOISE) / (_MUCH_NOISE - _SOME_NOISE), 0.0, 1.0)
        cosine += noisy * np.maximum(coarse - cosine, 0.0)
        worst = self._worst(weights, left, white)
        structures = np.maximum(left_coarse * count / np.maximum(rest, 1e-300) - kept, 0.0) / (1 - kept)
        structure = np.where(rest > 0, np.minimum(structures, 1.0), 0.0)
        chance = self._uncertainty * fine[:, None] / (count * mixes[:, :1] ** 2)
        strains = np.square(mixes[:, 1:] / mixes[:, :1]) - chance
        strain = np.maximum((strains / self._limits[0] ** 2).sum(1), 0.0)
        signs = cosine, coarse, worst, structure, strain, same
        return map(Explained, *(sign.tolist() for sign in signs))

    def _worst(self, weights: Rows, left: Plane, white: Vector) -> Vector:
        spots = self._blurred(left, _LOCAL) * self._inner
        span = np.ptp((weights @ self._local).reshape(left.shape), axis=(1, 2)).max(1).astype(np.float64)
        kept = self._kept(_LOCAL)
        usual = _RARE * np.sqrt(2 * math.log(2 + 2 * left[0].size * kept) * white * kept)
        largest = np.abs(spots).max((1, 2, 3))
        beyond: Vector = np.minimum(np.maximum(largest - usual, 0.0) / np.where(span > 0, span, 1.0), 10.0)
        return np.where(span > 0, beyond, 10.0)

    def _mixes(self, products: Rows) -> Vector:
        """How much of the template and of each of its changes each window asks for, within limits, ``(N, 4 or 5)``."""
        found = np.linalg.solve(self._damped, products.T.astype(np.float64)).T
        own = found[:, :1]
        changes = np.clip(found[:, 1:] / np.where(own > 0, own, 1.0), -self._limits[1], self._limits[0])
        mixes: Vector = np.concatenate([np.ones_like(own), changes], 1)
        shared = (mixes * products).sum(1) / np.sqrt(np.maximum(self._drawn(mixes), 1e-30))
        least = products[:, 0] / math.sqrt(float(self._normal[0, 0]))
        mixes[(own[:, 0] <= 0) | (shared <= least), 1:] = 0  # no change helps
        return mixes

    def _drawn(self, mixes: Vector) -> Vector:
        """Energies of mixes of the template and its changes."""
        drawn: Vector = ((mixes @ self._normal) * mixes).sum(1)
        return drawn

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
        changes = np.stack([values, *steps, growth, self._blurred(values, 1.0) - values])
        model: Rows = self._centred(changes.astype(np.float32)).reshape(len(changes), -1)
        return model

    def _blurred_model(self, sigma: float) -> Rows:
        return self._blurred(self._model.reshape(-1, *self._shape), sigma).reshape(self._model.shape)

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

    def _centred(self, stack: Plane) -> Plane:
        """Values less their weighted mean, each times the root of its weight; a signal also loses its trend."""
        centred = stack - (stack * self._shares).sum((1, 2), keepdims=True)
        if self._trend is not None:
            centred -= (centred * self._shares * self._trend).sum((1, 2), keepdims=True) * self._trend
        weighted: Plane = centred * self._roots
        return weighted

    def _window(self, scene: Array, row: int, column: int) -> Plane:
        height, width = self.size
        row = min(max(row, 0), scene.shape[0] - height)
        column = min(max(column, 0), scene.shape[1] - width)
        return self._part(scene, row, column, height, width)

    def _part(self, scene: Array, row: int, column: int, rows: int, columns: int) -> Plane:
        return self._reduced(_in_units(scene[row : row + rows, column : column + columns], self._unit))

    def _reduced(self, pixels: Array) -> Plane:
        if self._block == 1:
            return np.asarray(pixels, np.float32)
        size = 1 if self._signal else max(1, pixels.shape[0] // self._block), max(1, pixels.shape[1] // self._block)
        return averaged(pixels, size)

    def _blurred(self, values: Array, sigma: float) -> Plane:
        """Blur ``(h, w, C)``, or each of a stack of them."""
        stack = values.reshape(-1, *values.shape[-3:])
        return blurred(stack, 0.0 if self._signal else sigma, sigma).reshape(values.shape)

    def _kept(self, sigma: float) -> float:
        """Share of white noise's energy that a blur keeps."""
        return 1 / (2 * math.sqrt(math.pi) * sigma) if self._signal else 1 / (4 * math.pi * sigma**2)

    def _white(self, left: Plane) -> Vector:
        """Variances of white noise in a stack, by its finest part."""
        if self._signal or left.shape[2] < 2 or left.shape[1] < 2:
            line = left.reshape(len(left), -1, left.shape[3])
            finest = (line[:, :-2] - 2 * line[:, 1:-1] + line[:, 2:]) / math.sqrt(6)
        else:
            slopes = left[:, :-1] - left[:, 1:]
            finest = (slopes[:, :, :-1] - slopes[:, :, 1:]) / 2
        variances: Vector = _energies(finest) / max(1, finest[0].size)
        return variances


def _energies(stack: Plane) -> Vector:
    """Sum of squares of each of a stack."""
    rows = stack.reshape(len(stack), -1)
    energies: Vector = np.einsum("ij,ij->i", rows, rows).astype(np.float64)
    return energies


def _in_units(pixels: Array, unit: float) -> Array:
    return pixels if unit == 1 else pixels / unit
