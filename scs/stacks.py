"""The composition of two convolution layers into one, as a product of matrices of polynomials."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from scs.errors import ShapeError
from scs.moved import moved

Array = npt.NDArray[np.float64]

__getattr__ = moved(__name__, "lab.stacks")  # of what only the laboratory uses


def compose_layers(first: npt.ArrayLike, second: npt.ArrayLike, stride: int = 1) -> Array:
    """Compose two convolution layers of many channels into one, as a product of matrices of polynomials.

    Args:
        first: kernels ``(M, C, H, W)``.
        second: kernels ``(K, M, H', W')``.
        stride: of the first layer.

    Returns:
        Kernels ``(K, C, H + (H' - 1) * stride, W + (W' - 1) * stride)``.

    Raises:
        ShapeError: the second layer does not have as many channels as the first has kernels.
    """
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if first.ndim != 4 or second.ndim != 4 or len(first) != second.shape[1]:
        raise ShapeError(f"layers (M, C, H, W) and (K, M, H', W') are needed; {first.shape} and {second.shape} came")
    (height, width), (rows, columns) = first.shape[2:], second.shape[2:]
    size = height + (rows - 1) * stride, width + (columns - 1) * stride
    product = np.zeros((len(second), first.shape[1], *size))
    for row, column in np.ndindex(rows, columns):
        place = slice(row * stride, row * stride + height), slice(column * stride, column * stride + width)
        product[:, :, *place] += np.tensordot(second[:, :, row, column], first, 1)
    return product
