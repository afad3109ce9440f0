"""Named kernels (Sobel, Prewitt, Laplacian, Gaussian), and separable kernels."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from lab.convolution import Border, Mode, correlate
from scs.errors import OptionError, ShapeError

Kernel = NDArray[np.float64]

_RANK_ONE = 1e-10  # share of the largest singular value up to which the others are rounding


def sobel(axis: int) -> Kernel:
    """Make the Sobel kernel ``(3, 3)``, which gives 8 times the slope along an axis, 0 down, 1 across.

    It smooths over 1 2 1 along the other axis.

    Source: I. Sobel and G. Feldman, "A 3x3 Isotropic Gradient Operator for Image Processing" (1968).
    """
    return _slope(np.array([1.0, 2.0, 1.0]), axis)


def prewitt(axis: int) -> Kernel:
    """Make the Prewitt kernel ``(3, 3)``, which gives 6 times the slope along an axis, 0 down, 1 across.

    It smooths over 1 1 1 along the other axis.

    Source: J. M. S. Prewitt, "Object Enhancement and Extraction" (1970).
    """
    return _slope(np.ones(3), axis)


def laplacian() -> Kernel:
    """Make the Laplacian kernel ``(3, 3)``: the sum of the second differences down and across."""
    return np.array([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])


def gaussian(sigma: float, radius: int | None = None) -> Kernel:
    """Make a Gaussian kernel ``(2 * radius + 1,)`` with sum 1; the kernel of a picture is its outer product.

    Args:
        sigma: standard deviation > 0, in samples.
        radius: samples on either side of the middle; 4 sigma, rounded, unless given.

    Raises:
        OptionError: sigma or radius is out of range.
    """
    if not (math.isfinite(sigma) and sigma > 0):
        raise OptionError(f"sigma is a number of samples above 0; {sigma} came")
    reach = max(1, round(4 * sigma)) if radius is None else radius
    if reach < 0:
        raise OptionError(f"a radius is 0 or more samples; {reach} came")
    values = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return np.asarray(values / values.sum())


def separate(kernel: Kernel) -> tuple[Kernel, Kernel] | None:
    """Separate a kernel ``(h, w)`` into a column ``(h,)`` and a row ``(w,)`` whose outer product it is, or return None.

    Such a kernel has rank one. Its column and its row, one after the other, cost ``h + w`` products a place and not
    ``h * w``.

    Raises:
        ShapeError: the kernel has no two axes.

    Example:
        >>> column, row = separate(sobel(1))
        >>> np.allclose(np.outer(column, row), sobel(1))
        True
        >>> separate(laplacian()) is None
        True
    """
    if kernel.ndim != 2 or not kernel.size:
        raise ShapeError(f"a kernel to separate is (h, w); {kernel.shape} came")
    left, values, right = np.linalg.svd(kernel, full_matrices=False)
    if (values[1:] > _RANK_ONE * values[0]).any():
        return None
    size = math.sqrt(values[0])
    return left[:, 0] * size, right[0] * size


def correlate_separable(
    x: NDArray[np.float64], column: Kernel, row: Kernel, mode: Mode = "same", border: Border = "zero"
) -> NDArray[np.float64]:
    """Correlate a picture ``(H, W)`` with a separable kernel: first with its column, then with its row.

    Exact in every mode and with every border, since each axis is continued over its border by itself.

    Raises:
        ShapeError, OptionError: as :func:`lab.convolution.correlate`.
    """
    return correlate(correlate(x, column[:, None], mode, border), row[None], mode, border)


def _slope(smoothing: Kernel, axis: int) -> Kernel:
    if axis not in (0, 1):
        raise OptionError(f"a slope is along axis 0, down, or 1, across; {axis} came")
    across = np.outer(smoothing, [-1.0, 0.0, 1.0])
    return across if axis == 1 else across.T
