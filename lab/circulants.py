"""Circulant matrices, which commute with shifts, and a descent on the shift error that ends at one.

A matrix commutes with a shift if and only if it is a circular convolution. So the kernel is not put in; it is what is
left of any matrix once shifting before it and shifting after it are the same.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from scs.errors import ShapeError

Array = npt.NDArray[np.float64]


def circulant(kernel: npt.ArrayLike) -> Array:
    """Make the matrix ``(n, n)`` whose product with a signal is its circular convolution with a kernel ``(n,)``.

    Raises:
        ShapeError: the kernel is not one-dimensional.
    """
    kernel = np.asarray(kernel, dtype=np.float64)
    if kernel.ndim != 1:
        raise ShapeError(f"a circulant is made of a kernel (n,); one of shape {kernel.shape} came")
    return kernel[_offsets(len(kernel))]


def nearest_circulant(matrix: npt.ArrayLike) -> Array:
    """Compute the kernel ``(n,)`` of the circulant that is nearest to a matrix ``(n, n)`` in the Frobenius norm.

    Circulants are a linear space, so the nearest one is the orthogonal projection: each tap is the mean of the wrapped
    diagonal that it stands on. In the Fourier basis the same projection keeps the diagonal and drops the rest.

    Raises:
        ShapeError: the matrix is not square.
    """
    matrix = _square(matrix)
    n = len(matrix)
    return np.bincount(_offsets(n).ravel(), weights=matrix.ravel(), minlength=n) / n


def circulant_distance(matrix: npt.ArrayLike) -> float:
    """Measure how far a matrix ``(n, n)`` is from its nearest circulant: ``‖W - P(W)‖ / ‖W‖``, 0 to 1."""
    matrix = _square(matrix)
    return float(np.linalg.norm(matrix - circulant(nearest_circulant(matrix))) / np.linalg.norm(matrix))


def shift_error(matrix: npt.ArrayLike) -> float:
    """Measure how far a matrix ``(n, n)`` is from commuting with a shift: ``‖WS - SW‖ / ‖W‖``.

    It lies between 0 and 2, and is 0 for circulants, and for them alone.
    """
    matrix = _square(matrix)
    return float(np.linalg.norm(_along_diagonals(matrix, 1) - matrix) / np.linalg.norm(matrix))


def off_diagonal_energy(matrix: npt.ArrayLike) -> float:
    """Measure the share, 0 to 1, of the energy of a matrix ``(n, n)`` in the Fourier basis that is off the diagonal.

    It is the square of :func:`circulant_distance`: to project on circulants is to keep the diagonal.
    """
    seen = in_fourier_basis(matrix)
    return float(np.linalg.norm(seen - np.diag(np.diag(seen))) ** 2 / np.linalg.norm(seen) ** 2)


def in_fourier_basis(matrix: npt.ArrayLike) -> npt.NDArray[np.complex128]:
    """Transform a matrix to the Fourier basis, ``F W F⁻¹`` ``(n, n)``; a circulant becomes diagonal.

    The diagonal of a circulant is then the transform of its kernel.
    """
    return np.fft.ifft(np.fft.fft(_square(matrix), axis=0), axis=1)


def towards_equivariance(matrix: npt.ArrayLike, momentum: float | None = None) -> Iterator[Array]:
    """Descend on ``‖WS - SW‖ / ‖W‖`` from a matrix ``(n, n)``; yield the matrix itself, then after each step.

    A step along the gradient is heat that flows along each wrapped diagonal: the mean stays, what differs from it dies
    out. The slowest wave, one period round a diagonal, dies ``n²/π²`` times as slowly as the fastest, which is why the
    descent has momentum: it takes some ``n`` steps in place of ``n²``. The quotient does not see the norm of the
    matrix; that of the start is kept.

    Every step is a sum of gradients, and so the nearest circulant keeps its direction from the first matrix to the
    last: the descent, which does not end by itself, goes to ``P(W) ‖W‖ / ‖P(W)‖`` of the start. (A method that scales
    each entry by itself, as Adam does, goes to some other circulant.)

    Args:
        matrix: where to start, n at least 2; its nearest circulant must not be 0.
        momentum: share of a step that is taken again in the next, 0 (plain descent) to below 1; unless given, the best
            for this ``n``.

    Yields:
        ``(n, n)``, a new array each.

    Raises:
        ShapeError: the matrix is not square.

    Source:
        Step and momentum are those of B. T. Polyak, "Some methods of speeding up the convergence of iteration methods"
        (1964), for eigenvalues from ``4 sin²(π/n)`` to 4, those of heat on a ring.
    """
    w = _square(matrix)
    norm = np.linalg.norm(w)
    slowest = 2 * np.sin(np.pi / len(w))  # root of the smallest eigenvalue above 0; that of the largest is 2
    if momentum is None:
        momentum = ((2 - slowest) / (2 + slowest)) ** 2
    rate = 2 * (1 + momentum) / (4 + slowest**2)
    step = np.zeros_like(w)
    while True:
        yield w
        bend = 2 * w - _along_diagonals(w, 1) - _along_diagonals(w, -1)
        squared_error = np.sum(w * bend) / norm**2
        step = momentum * step - rate * (bend - squared_error * w)
        w = w + step
        w *= norm / np.linalg.norm(w)


def _offsets(n: int) -> npt.NDArray[np.intp]:
    """``(i - j) mod n``: which wrapped diagonal each entry of an ``(n, n)`` matrix stands on."""
    places = np.arange(n)
    return (places[:, None] - places) % n


def _along_diagonals(matrix: Array, places: int) -> Array:
    """``S W S⁻¹``: every wrapped diagonal moved on by so many places along itself."""
    return np.roll(matrix, (places, places), (0, 1))


def _square(matrix: npt.ArrayLike) -> Array:
    matrix = np.asarray(matrix, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ShapeError(f"a square matrix (n, n) is needed; one of shape {matrix.shape} came")
    return matrix
