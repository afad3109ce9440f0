"""Circular-harmonic kernels: components of a template that a rotation changes in phase alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.kernels.discs import as_planes, centred_norms, disc_weights, polar_coordinates
from scs.errors import OptionError
from scs.matching.arrays import Array, check_template

# The highest order decides how fine a shape is told apart: docs/matching.md has the table for 8 and 16.
ORDERS = tuple(range(17))

# Angles at which a score is looked up for every oscillation of the highest order; between them lies a parabola.
_SAMPLES_A_PERIOD = 8
# Windows whose turns are looked up at a time: about as many as stay in a core's cache.
_BLOCK = 2048


@dataclass(frozen=True)
class HarmonicScores:
    """Rotation-invariant scores, and the angle of each.

    Attributes:
        scores: ``(H - h + 1, W - w + 1)`` within [0, 1].
        angles: the same shape; degrees within [-180, 180), counter-clockwise as seen; 0 where a window is flat.
    """

    scores: NDArray[np.float32]
    angles: NDArray[np.float32]


def circular_harmonics(template: Array, orders: Sequence[int] = ORDERS) -> NDArray[np.complex128]:
    r"""Decompose a template into circular harmonics, components that oscillate along circles about its centre.

    In polar coordinates about its middle, a template is ``t(r, φ) = Σ_m f_m(r) exp(i m φ)``. The component of order m
    is ``f_m(r) exp(i m φ)`` within the template's largest disc. A turn by θ multiplies it by ``exp(-i m θ)``: the
    magnitude of its product with a window does not depend on how the window is turned. The mean over the disc, which
    is light and not shape, is removed from order 0.

    Args:
        template: ``(h, w)`` or ``(h, w, C)``.
        orders: orders >= 0; a real template's order -m is the conjugate of order m.

    Returns:
        ``(orders, h, w, C)``, zero outside of the disc.

    Raises:
        OptionError: no order, a negative one or one twice; pixels that are not finite.
        ShapeError: the template is not a picture.

    Source:
        Y.-N. Hsu and H. H. Arsenault, "Optical pattern recognition using circular harmonic expansion" (1982).
    """
    if not orders or min(orders) < 0 or len(set(orders)) < len(orders):
        raise OptionError(f"orders are one or more different whole numbers >= 0; {list(orders)} came")
    planes = as_planes("template", template)
    height, width, channels = planes.shape
    radius, angle = polar_coordinates(height, width)
    weights = disc_weights(height, width)

    reach = min(height, width) / 2 + 1
    radii = np.arange(0, reach + 0.5, 0.5)
    # Along the rim two samples a pixel, and two for every oscillation that is asked for.
    steps = max(2 ** math.ceil(math.log2(4 * math.pi * reach)), 4 * (max(orders) + 1))
    turns = 2 * np.pi * np.arange(steps) / steps
    x = (radii[:, None] * np.cos(turns) + (width - 1) / 2).astype(np.float32)
    y = (-radii[:, None] * np.sin(turns) + (height - 1) / 2).astype(np.float32)

    harmonics = np.zeros((len(orders), height, width, channels), np.complex128)
    for channel in range(channels):
        plane = np.ascontiguousarray(planes[..., channel], np.float32)  # of doubles OpenCV 5.0.0 drops the fractions
        circles = cv2.remap(plane, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)  # (radii, steps)
        profiles = np.fft.fft(circles.astype(np.float64), axis=1) / steps
        for harmonic, order in zip(harmonics, orders, strict=True):
            profile = profiles[:, order]
            component = np.interp(radius, radii, profile.real) + 1j * np.interp(radius, radii, profile.imag)
            component = component * np.exp(1j * order * angle)
            # Other orders have none but for the pixel grid; what is left would answer to the scene's brightness.
            harmonic[..., channel] = weights * (component - (weights * component).sum() / weights.sum())
    return harmonics


def harmonic_scores(scene: Array, template: Array, orders: Sequence[int] = ORDERS) -> HarmonicScores:
    r"""Compare a template with every window of a scene, however the window is rotated.

    With ``c_m`` the product of a window ``s`` with the component ``k_m`` of order m, the template's given orders,
    turned by θ, have with the window's disc the centred cosine ::

        score(θ) = Re Σ_m g_m c_m exp(i m θ) / (‖s‖ ‖k‖),    ‖k‖² = Σ_m g_m ‖k_m‖²

    where ``g_0`` is 1 and all other ``g_m`` are 2, as a real picture has order -m as well. The score is the largest
    over all θ, at least 0: what a search over the angle would find with a template that had these orders alone, at the
    cost of one complex correlation an order. A copy of the template scores the root of the share of its energy in
    them. One order alone scores by its magnitude, as Hsu and Arsenault have it.

    Args:
        scene: ``(H, W)`` or ``(H, W, C)``.
        template: ``(h, w)`` or ``(h, w, C)``, no larger than the scene; its largest disc is what counts.
        orders: orders >= 0. With more of them the score tells finer shapes apart, and takes longer.

    Returns:
        Scores and angles. A flat window, or a template without these orders, has score 0. Orders with a common
        divisor d know the angle only up to a turn of 360 / d degrees.

    Raises:
        OptionError: no order, a negative one or one twice; pixels that are not finite.
        ShapeError: the shapes do not fit; the message gives both.
    """
    seen = as_planes("scene", scene)
    harmonics = circular_harmonics(template, orders)
    check_template(harmonics[0], seen)
    height, width = harmonics.shape[1:3]
    weights = disc_weights(height, width)
    gains = np.array([1.0 if order == 0 else 2.0 for order in orders])
    # The components carry the weights once; their norm under the weights has them once as well.
    inverse = np.divide(1, weights, out=np.zeros_like(weights), where=weights > 0)[..., None]
    norm = math.sqrt(float(gains @ (np.abs(harmonics) ** 2 * inverse).sum((1, 2, 3))))
    norms = centred_norms(seen, weights)
    if norm <= 1e-6 * np.abs(as_planes("template", template)).max() or not norms.any():
        return HarmonicScores(np.zeros(norms.shape, np.float32), np.zeros(norms.shape, np.float32))

    scale = np.divide(1 / norm, norms, out=np.zeros_like(norms), where=norms > 0)
    products = _products(seen - seen.mean((0, 1)), harmonics)
    parts = np.empty((2 * len(orders), norms.size), np.float32)
    for index, product in enumerate(products):
        part = gains[index] * product * scale
        parts[2 * index], parts[2 * index + 1] = part.real.ravel(), part.imag.ravel()
    scores, angles = _best_turn(parts, orders)
    return HarmonicScores(scores.reshape(norms.shape), np.where(norms > 0, angles.reshape(norms.shape), 0))


def _products(scene: NDArray[np.float64], harmonics: NDArray[np.complex128]) -> Iterator[NDArray[np.complex128]]:
    """Product of every window with the conjugate of each component, ``(H - h + 1, W - w + 1)`` complex, in turn.

    In double: what a transform rounds off is relative to the brightest window, and would drown the faint ones.
    """
    _, height, width, channels = harmonics.shape
    rows, columns = scene.shape[0] - height + 1, scene.shape[1] - width + 1
    size = (cv2.getOptimalDFTSize(scene.shape[0]), cv2.getOptimalDFTSize(scene.shape[1]))
    spectra = [_transform(scene[..., channel], size) for channel in range(channels)]
    for harmonic in harmonics:
        total = np.zeros(size, np.complex128)
        for channel, spectrum in enumerate(spectra):
            total += spectrum * np.conj(_transform(harmonic[..., channel], size))
        # Circular wrap-around reaches only the windows that do not fit, and those are cut off.
        inverse = cv2.dft(total.view(np.float64).reshape(*size, 2), flags=cv2.DFT_INVERSE | cv2.DFT_SCALE)
        yield inverse.view(np.complex128)[:rows, :columns, 0]


def _transform(plane: NDArray[Any], size: tuple[int, int]) -> NDArray[np.complex128]:
    padded = np.zeros(size, np.complex128)
    padded[: plane.shape[0], : plane.shape[1]] = plane
    pairs = padded.view(np.float64).reshape(*size, 2)
    spectrum: NDArray[np.complex128] = cv2.dft(pairs, nonzeroRows=plane.shape[0]).view(np.complex128)[..., 0]
    return spectrum


def _best_turn(parts: NDArray[np.float32], orders: Sequence[int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Largest value of ``Re Σ_m part_m exp(i m θ)`` over θ, and that θ in degrees.

    Args:
        parts: ``(2 * orders, N)``, real and imaginary parts in turn.
        orders: the m.
    """
    steps = _SAMPLES_A_PERIOD * max(max(orders), 1)
    turns = 2 * np.pi * np.arange(steps) / steps
    waves = np.exp(1j * np.array(orders)[:, None] * turns)  # (orders, steps)
    basis = np.stack([waves.real, -waves.imag], 1).reshape(-1, steps).astype(np.float32)
    scores, angles = np.empty(parts.shape[1], np.float32), np.empty(parts.shape[1], np.float32)
    for start in range(0, parts.shape[1], _BLOCK):
        values = parts[:, start : start + _BLOCK].T @ basis  # (block, steps)
        block, best = np.arange(values.shape[0]), values.argmax(1)
        middle, before, after = values[block, best], values[block, best - 1], values[block, (best + 1) % steps]
        curvature = 2 * middle - before - after
        offset = np.divide(after - before, 2 * curvature, out=np.zeros_like(middle), where=curvature > 0)
        scores[start : start + _BLOCK] = middle + (after - before) * offset / 4
        angles[start : start + _BLOCK] = (360 / steps) * (best + offset)
    return scores.clip(0, 1), (angles + 180) % 360 - 180
