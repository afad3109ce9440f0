"""Compiled loops for training on the CPU: sums of squares, sharpening and max-abs pooling, each with its gradient.

They are bound by memory, so each takes one pass over its arrays where torch takes a dozen, and takes a logarithm again
rather than store it. Arrays are float32, dense, and have the channels last.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

from scs.compiled import compiled_for_threads

Array = NDArray[np.float32]
Winners = NDArray[np.uint8]

_f = np.float32
_i = np.int32
_LN_2 = math.log(2)
_PIXELS_A_SUM = 256  # sums over so many are float32, and are added up in float64


@numba.njit(inline="always")
def _log2(x):  # type: ignore[no-untyped-def]  # Numba finds the types
    """Logarithm of a positive normal number; the polynomial, of ln(1 + f) for |f| < 0.42, is that of Cephes."""
    bits = np.float32(x).view(np.int32)
    exponent = (bits - _i(0x3F3504F3)) >> _i(23)
    f = np.int32(bits - (exponent << _i(23))).view(np.float32) - _f(1)
    y = _f(7.0376836292e-2)
    y = y * f - _f(1.1514610310e-1)
    y = y * f + _f(1.1676998740e-1)
    y = y * f - _f(1.2420140846e-1)
    y = y * f + _f(1.4249322787e-1)
    y = y * f - _f(1.6668057665e-1)
    y = y * f + _f(2.0000714765e-1)
    y = y * f - _f(2.4999993993e-1)
    y = y * f + _f(3.3333331174e-1)
    return (f + (y * f - _f(0.5)) * f * f) * _f(1.44269504) + _f(exponent)


@numba.njit(inline="always")
def _exp2(x):  # type: ignore[no-untyped-def]
    """2 to the power of x, held to -126 to 126; the polynomial is Cephes'."""
    x = max(_f(-126), min(_f(126), x))
    whole = _i(math.floor(x + _f(0.5)))
    f = x - _f(whole)
    y = _f(1.535336188e-4)
    y = y * f + _f(1.339887440e-3)
    y = y * f + _f(9.618437357e-3)
    y = y * f + _f(5.550332471e-2)
    y = y * f + _f(2.402264791e-1)
    y = y * f + _f(6.931472028e-1)
    y = y * f + _f(1)
    return y * np.int32((whole + _i(127)) << _i(23)).view(np.float32)


@compiled_for_threads
def sharpen(dot: Array, reciprocal: Array, exponent: Array, eps: np.float32, y: Array) -> None:
    """Write ``a * (|a| + eps) ** exponent``, with ``a = dot * reciprocal``, to ``y``.

    Args:
        dot: ``(pixels, K)``.
        reciprocal: ``(pixels,)``.
        exponent: ``(K,)``.
        eps: keeps the logarithm finite.
        y: like ``dot``.
    """
    for i in numba.prange(dot.shape[0]):
        for k in range(dot.shape[1]):
            a = dot[i, k] * reciprocal[i]
            # Zero times a: NaN and infinity come through, which the logarithm would swallow.
            y[i, k] = a * _exp2(exponent[k] * _log2(abs(a) + eps)) + _f(0) * a


@compiled_for_threads
def sharpen_gradient(
    grad: Array,
    dot: Array,
    reciprocal: Array,
    exponent: Array,
    eps: np.float32,
    to_dot: Array,
    to_reciprocal: Array,
    to_exponent: NDArray[np.float64],
) -> None:
    """Write the gradients of :func:`sharpen`'s arguments, from that of its result.

    Args:
        grad: ``(pixels, K)``; of ``y``.
        dot: as it was given to :func:`sharpen`, like the next three.
        reciprocal: ``(pixels,)``.
        exponent: ``(K,)``.
        eps: a number.
        to_dot: ``(pixels, K)``.
        to_reciprocal: ``(pixels,)``.
        to_exponent: ``(parts, K)``; its rows add up to the gradient. Each is written by one thread at a time.
    """
    pixels, kernels = dot.shape
    parts = to_exponent.shape[0]
    for part in numba.prange(parts):
        many = np.zeros(kernels, np.float64)
        few = np.zeros(kernels, np.float32)
        end = pixels * (part + 1) // parts
        for first in range(pixels * part // parts, end, _PIXELS_A_SUM):
            for i in range(first, min(first + _PIXELS_A_SUM, end)):
                scale = reciprocal[i]
                over_kernels = _f(0)
                for k in range(kernels):
                    a = dot[i, k] * scale
                    above_zero = abs(a) + eps
                    logarithm = _log2(above_zero)
                    through = grad[i, k] * (_exp2(exponent[k] * logarithm) + _f(0) * a)
                    few[k] += through * a * logarithm
                    to_cosine = through * (_f(1) + exponent[k] * abs(a) / above_zero)
                    to_dot[i, k] = to_cosine * scale
                    over_kernels += to_cosine * dot[i, k]
                to_reciprocal[i] = over_kernels
            for k in range(kernels):
                many[k] += few[k]
                few[k] = _f(0)
        for k in range(kernels):
            to_exponent[part, k] = many[k] * _LN_2


@compiled_for_threads
def sum_squares(x: Array, scale: np.float32, y: Array) -> None:
    """Write the sum of squares of each row of ``scale * x``, ``(pixels, C)``, to ``y``, ``(pixels,)``."""
    for i in numba.prange(x.shape[0]):
        total = _f(0)
        for k in range(x.shape[1]):
            scaled = scale * x[i, k]
            total += scaled * scaled
        y[i] = total


@compiled_for_threads
def sum_squares_gradient(grad: Array, x: Array, scale: np.float32, to_x: Array) -> None:
    """Write the gradient of ``x``, from that of :func:`sum_squares`'s result."""
    for i in numba.prange(x.shape[0]):
        twice = _f(2) * scale * scale * grad[i]
        for k in range(x.shape[1]):
            to_x[i, k] = twice * x[i, k]


@compiled_for_threads
def pool(x: Array, y: Array, winner: Winners) -> None:
    """Pool every 2x2 window to its value of largest magnitude, of opposites the positive one, and write which it was.

    Args:
        x: ``(N, H, W, C)``.
        y: ``(N, H // 2, W // 2, C)``.
        winner: like ``y``; 0 to 3, row by row.
    """
    images, rows, columns, channels = y.shape
    for row in numba.prange(images * rows):
        n, i = row // rows, row % rows
        for j in range(columns):
            for k in range(channels):
                best, place = x[n, 2 * i, 2 * j, k], 0
                for other in range(1, 4):
                    value = x[n, 2 * i + other // 2, 2 * j + other % 2, k]
                    wins = abs(value) > abs(best) or (abs(value) == abs(best) and value > best) or value != value
                    best, place = (value, other) if wins else (best, place)
                y[n, i, j, k] = best
                winner[n, i, j, k] = place


@compiled_for_threads
def pool_gradient(grad: Array, winner: Winners, to_x: Array) -> None:
    """Write the gradient of ``x``: each window's goes to the value that won; the arrays are those of :func:`pool`."""
    images, rows, columns, channels = grad.shape
    for row in numba.prange(images * rows):
        n, i = row // rows, row % rows
        for j in range(columns):
            for place in range(4):
                for k in range(channels):
                    value = grad[n, i, j, k] if winner[n, i, j, k] == place else _f(0)
                    to_x[n, 2 * i + place // 2, 2 * j + place % 2, k] = value
