"""Products on the calling thread: of matrices in pieces so small that the BLAS keeps each in one thread, or without it.

Threads are then the caller's: a BLAS that splits a product among threads waits for the slowest of them, and beside
another busy process that made a search ten times slower.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]

# Multiplications in one product: OpenBLAS takes a second thread above 4 * 65,536.
LARGEST = 4 * 65_536

_NARROWEST = 16  # columns at a time; fewer do not fill the vectors


def product(left: Matrix, right: Matrix) -> Matrix:
    """Multiply ``(rows, inner)`` by ``(inner, columns)``, both C-ordered, on the calling thread."""
    rows, inner = left.shape
    columns = right.shape[1]
    height = max(1, LARGEST // (_NARROWEST * inner))
    width = max(_NARROWEST, LARGEST // (min(rows, height) * inner) // 8 * 8)
    whole = columns // width * width
    result = np.empty((rows, columns), np.float32)
    for top in range(0, rows, height):
        block, out = left[top : top + height], result[top : top + height]
        # All pieces of one width are one call, a stack of small products.
        np.matmul(block, _pieces(right[:, :whole], width), out=_pieces(out[:, :whole], width))
        np.matmul(block, right[:, whole:], out=out[:, whole:])
    return result


def dot(left: NDArray[Any], right: NDArray[Any]) -> float:
    """Sum the products of two arrays of one shape."""
    return float(np.einsum("i,i->", left.ravel(), right.ravel()))


def _pieces(matrix: Matrix, width: int) -> Matrix:
    """A matrix as a stack of pieces ``(columns / width, rows, width)``, without copying it."""
    rows, columns = matrix.shape
    return matrix.reshape(rows, columns // width, width).transpose(1, 0, 2)
