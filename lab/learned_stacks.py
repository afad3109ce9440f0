"""Stacks of small circular kernels, trained on signals to do what one large kernel does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from lab.stacks import Array, compose_kernels
from scs.errors import ShapeError

Optimiser = Literal["damped", "adam"]

_ADAM_RATE = 0.05  # of .005, .01, .02 and .05 the best from most starts
_EXACT = 1e-22  # of the answers' power: what rounding leaves of an error
_STEEPEST = 1e12  # damping at which no step is short enough to help


def apply_stack(kernels: npt.ArrayLike, signals: npt.ArrayLike) -> Array:
    """Convolve circular signals ``(..., n)`` with every kernel ``(K, L)`` in turn, each about its middle tap, L odd."""
    answers = np.asarray(signals, dtype=np.float64)
    for kernel in np.asarray(kernels, dtype=np.float64):
        rolled = [np.roll(answers, place - len(kernel) // 2, -1) for place in range(len(kernel))]
        answers = np.tensordot(kernel, np.array(rolled), 1)
    return answers


@dataclass(frozen=True)
class LearnedStack:
    """The result of training a stack: its kernels and the losses.

    Attributes:
        kernels: ``(K, L)``, of one layer each.
        losses: mean squared error of the answers at the start and after each step.
        passed: the one kernel that the stack made at the start and after each step.
    """

    kernels: Array
    losses: list[float]
    passed: list[Array]

    @property
    def kernel(self) -> Array:
        """The one kernel ``(K * (L - 1) + 1,)`` that does what the stack does."""
        return compose_kernels(list(self.kernels))


def learn_stack(
    start: npt.ArrayLike,
    signals: npt.ArrayLike,
    answers: npt.ArrayLike,
    most: int = 600,
    optimiser: Optimiser = "damped",
) -> LearnedStack:
    """Train a stack of circular layers on the mean squared error (Levenberg-Marquardt), starting from given kernels.

    Layers multiply each other, so the error is a polynomial of high degree in the taps, with long, bent valleys, and
    steps along the gradient hardly get on in them. Each step here solves for all taps at once (damped least squares, by
    Levenberg and Marquardt). The error in the frequency domain weighs each frequency by its power in the signals, so
    however many signals come, they count by two spectra.

    Args:
        start: kernels ``(K, L)``, L odd, at which to start; where the descent ends depends on it.
        signals: circular signals ``(N, n)``, n at least ``K * (L - 1) + 1``.
        answers: ``(N, n)``, what shall come of them.
        most: steps, at most.
        optimiser: ``"damped"`` least squares, as above, or ``"adam"``, steps along the gradient, for comparison.

    Returns:
        The stack at the end, where the error is at a minimum, perhaps a local one, or the steps are used up.

    Raises:
        ShapeError: signals shorter than the kernel that the stack makes, or answers that do not fit them.

    Source:
        D. W. Marquardt, "An algorithm for least-squares estimation of nonlinear parameters" (1963); D. P. Kingma and
        J. Ba, "Adam: A Method for Stochastic Optimization" (2015).
    """
    start, signals, answers = (np.asarray(given, dtype=np.float64) for given in (start, signals, answers))
    if signals.shape != answers.shape or signals.shape[-1] < start.shape[0] * (start.shape[1] - 1) + 1:
        raise ShapeError(
            f"signals and answers (N, n) are needed, n at least what kernels {start.shape} span; "
            f"{signals.shape} and {answers.shape} came"
        )
    n = signals.shape[1]
    x, y = np.fft.fft(signals), np.fft.fft(answers)
    power = np.mean(np.abs(x) ** 2, axis=0)
    response = np.mean(np.conj(x) * y, axis=0) / power  # of the one kernel that fits the answers best
    unanswerable = float(np.mean(np.abs(y - response * x) ** 2) / n)
    size = np.linalg.norm(response) / np.sqrt(n)  # of that kernel's taps
    waves = np.exp(-2j * np.pi * np.outer(np.arange(start.shape[1]) - start.shape[1] // 2, np.arange(n)) / n)  # (L, n)
    descend = _descend if optimiser == "damped" else _adam
    steps = list(descend(start, waves, np.sqrt(power) / n, response / size, most))
    return LearnedStack(
        steps[-1][0] * size ** (1 / len(start)),
        [unanswerable + loss * size**2 for _, loss in steps],
        [size * compose_kernels(list(kernels)) for kernels, _ in steps],
    )


def _descend(
    kernels: Array, waves: npt.NDArray[np.complex128], weights: Array, response: npt.NDArray[np.complex128], most: int
) -> Iterator[tuple[Array, float]]:
    """Kernels and loss at the start and after each step, by damped least squares."""

    def misses(kernels: Array) -> Array:
        return _real(weights * ((kernels @ waves).prod(0) - response))

    missed = misses(kernels)
    loss, damping = float(missed @ missed), 1e-2
    yield kernels, loss
    while most and damping < _STEEPEST and loss > _EXACT * np.sum(np.abs(weights * response) ** 2):
        slopes = _slopes(kernels, waves, weights)
        damped = np.vstack([slopes, np.sqrt(damping) * np.eye(kernels.size)])
        step = np.linalg.lstsq(damped, np.concatenate([-missed, np.zeros(kernels.size)]))[0]
        tried = misses(kernels + step.reshape(kernels.shape))
        if tried @ tried < loss:
            kernels, missed, loss = kernels + step.reshape(kernels.shape), tried, float(tried @ tried)
            damping /= 3
            most -= 1
            yield kernels, loss
        else:
            damping *= 4


def _adam(
    kernels: Array, waves: npt.NDArray[np.complex128], weights: Array, response: npt.NDArray[np.complex128], most: int
) -> Iterator[tuple[Array, float]]:
    """Kernels and loss at the start and after each step, by Adam; its rate falls to 0 along half a cosine."""
    mean, square = np.zeros(kernels.size), np.zeros(kernels.size)
    for step in range(most + 1):
        missed = _real(weights * ((kernels @ waves).prod(0) - response))
        yield kernels, float(missed @ missed)
        slope = 2 * missed @ _slopes(kernels, waves, weights)
        mean, square = 0.9 * mean + 0.1 * slope, 0.999 * square + 0.001 * slope**2
        unbiased = mean / (1 - 0.9 ** (step + 1)), square / (1 - 0.999 ** (step + 1))
        rate = _ADAM_RATE * (1 + np.cos(np.pi * step / max(most, 1))) / 2
        kernels = kernels - (rate * unbiased[0] / (np.sqrt(unbiased[1]) + 1e-8)).reshape(kernels.shape)


def _slopes(kernels: Array, waves: npt.NDArray[np.complex128], weights: Array) -> Array:
    """Derivatives of the misses by each tap, ``(2 * n, K * L)``."""
    layers = kernels @ waves  # (K, n)
    others = np.array([np.delete(layers, i, 0).prod(0) for i in range(len(kernels))])
    return _real((weights * others[:, None] * waves).reshape(kernels.size, -1)).T


def _real(numbers: npt.NDArray[np.complex128]) -> Array:
    return np.concatenate([numbers.real, numbers.imag], axis=-1)
