"""Stacks of small circular kernels, trained on signals to do what one large kernel does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lab.stacks import Array, compose_kernels
from scs.errors import ShapeError

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
    """

    kernels: Array
    losses: list[float]

    @property
    def kernel(self) -> Array:
        """The one kernel ``(K * (L - 1) + 1,)`` that does what the stack does."""
        return compose_kernels(list(self.kernels))


def learn_stack(start: npt.ArrayLike, signals: npt.ArrayLike, answers: npt.ArrayLike, most: int = 600) -> LearnedStack:
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

    Returns:
        The stack at the end, where the error is at a minimum, perhaps a local one, or the steps are used up.

    Raises:
        ShapeError: signals shorter than the kernel that the stack makes, or answers that do not fit them.

    Source:
        D. W. Marquardt, "An algorithm for least-squares estimation of nonlinear parameters" (1963).
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
    steps = list(_descend(start, waves, np.sqrt(power) / n, response / size, most))
    return LearnedStack(steps[-1][0] * size ** (1 / len(start)), [unanswerable + loss * size**2 for _, loss in steps])


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
        layers = kernels @ waves  # (K, n)
        others = np.array([np.delete(layers, i, 0).prod(0) for i in range(len(kernels))])
        slopes = _real((weights * others[:, None] * waves).reshape(kernels.size, -1)).T
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


def _real(numbers: npt.NDArray[np.complex128]) -> Array:
    return np.concatenate([numbers.real, numbers.imag], axis=-1)
