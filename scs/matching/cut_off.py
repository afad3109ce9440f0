"""Scores of a template that the border of the scene cuts off: the cosine over what of it is visible."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from scs.matching.arrays import Array, as_picture, as_weights

Numbers = NDArray[np.float64]

LEAST_VISIBLE = 0.35  # share of a template, along each side, below which it is not looked for
_FLAT = 1e-9  # share of its energy below which a window, or a part of a template, has no contrast


def reach(template: Array) -> tuple[int, int]:
    """Rows and columns by which a template may lie beyond each border."""
    height, width = _size(template)
    down = 0 if height == 1 else math.floor((1 - LEAST_VISIBLE) * height)
    return down, math.floor((1 - LEAST_VISIBLE) * width)


def with_rim(scene: Array, template: Array, scores: NDArray[np.floating], mask: Array | None, p: float) -> Numbers:
    """Add to a map the places where the template lies partly beyond the border.

    Args:
        scene: see ``score_map``.
        template: likewise.
        scores: of the places inside, ``(H - h + 1, W - w + 1)``, by ``ccoeff_normed`` or ``scs_centred``.
        mask: of the template, or None.
        p: exponent that sharpens the scores; 1 does not.

    Returns:
        A map that begins ``reach`` rows and columns before the first place of the other.

    Source:
        D. Padfield, "Masked Object Registration in the Fourier Domain" (2012).
    """
    picture, pixels = as_picture("scene", scene).astype(np.float64), as_picture("template", template).astype(np.float64)
    weights = np.ones(pixels.shape) if mask is None else np.moveaxis(as_weights(mask, pixels.shape), 0, 2)
    down, right = reach(template)
    height, width = pixels.shape[:2]
    rows, columns = picture.shape[:2]
    inside = np.atleast_2d(scores).astype(np.float64)
    whole = np.zeros((inside.shape[0] + 2 * down, inside.shape[1] + 2 * right))
    whole[down : down + inside.shape[0], right : right + inside.shape[1]] = inside

    def strip(top: int, bottom: int, left: int, end: int) -> Numbers:
        """Scores of windows that begin in these rows and columns."""
        part = picture[max(top, 0) : min(bottom - 1 + height, rows), max(left, 0) : min(end - 1 + width, columns)]
        before = max(-top, 0), max(-left, 0)
        shape = bottom - top - 1 + height, end - left - 1 + width
        cosines = _masked_cosines(part, before, shape, pixels, weights)
        sharpened: Numbers = np.copysign(np.abs(cosines) ** p, cosines)
        return sharpened

    if down:
        whole[:down] = strip(-down, 0, -right, columns - width + 1 + right)
        whole[-down:] = strip(rows - height + 1, rows - height + 1 + down, -right, columns - width + 1 + right)
    if right:
        middle = slice(down, down + inside.shape[0])
        whole[middle, :right] = strip(0, inside.shape[0], -right, 0)
        whole[middle, -right:] = strip(0, inside.shape[0], columns - width + 1, columns - width + 1 + right)
    return whole


def visible_part(scene: Array, template: Array, row: int, column: int) -> tuple[slice, slice]:
    """Rows and columns of a template that lie inside the scene where its first pixel is at a place."""
    height, width = _size(template)
    rows, columns = _size(scene)
    return (
        slice(max(0, -row), min(height, rows - row)),
        slice(max(0, -column), min(width, columns - column)),
    )


def _masked_cosines(
    part: Numbers, before: tuple[int, int], shape: tuple[int, int], template: Numbers, weights: Numbers
) -> Numbers:
    """Cosine of a template with every window of a part of a scene, where there is no scene not counting."""
    size = shape[0] - template.shape[0] + 1, shape[1] - template.shape[1] + 1
    product, seen_energy, sought_energy = (np.zeros(size) for _ in range(3))
    level = part.mean((0, 1))
    place = (slice(before[0], before[0] + part.shape[0]), slice(before[1], before[1] + part.shape[1]))

    def correlated(seen: Numbers, sought: Numbers) -> Numbers:
        spectra = np.fft.rfft2(seen) * np.conj(np.fft.rfft2(sought, shape))
        return np.fft.irfft2(spectra, shape)[: size[0], : size[1]]

    there = np.zeros(shape)
    there[place] = 1
    for channel in range(part.shape[2]):
        seen = np.zeros(shape)
        seen[place] = part[..., channel] - level[channel]
        weight = weights[..., channel]
        sought = (template[..., channel] - template[..., channel].mean()) * 1.0
        total = np.maximum(correlated(there, weight), 1e-9)
        seen_sum, sought_sum = correlated(seen, weight), correlated(there, weight * sought)
        product += correlated(seen, weight * sought) - seen_sum * sought_sum / total
        seen_energy += np.maximum(correlated(seen**2, weight) - seen_sum**2 / total, 0)
        sought_energy += np.maximum(correlated(there, weight * sought**2) - sought_sum**2 / total, 0)
    energies = seen_energy * sought_energy
    told = energies > _FLAT * max(float(energies.max()), 1e-30)
    cosines: Numbers = np.divide(product, np.sqrt(energies), out=np.zeros(size), where=told).clip(-1, 1)
    return cosines


def _size(pixels: Array) -> tuple[int, int]:
    shape = np.shape(pixels)
    return (1, shape[0]) if len(shape) == 1 else (shape[0], shape[1])
