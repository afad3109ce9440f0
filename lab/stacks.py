"""Stacks of kernels, composed into one kernel or factored, as products of polynomials.

A kernel's taps are the coefficients of a polynomial in the shift, lowest power first. To convolve with one kernel and
then with another is to multiply the two, so a stack of small kernels is a large one, and a large one comes apart at its
roots.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import zip_longest

import numpy as np
import numpy.typing as npt

from lab.named_kernels import separate
from scs.errors import OptionError, ShapeError

Array = npt.NDArray[np.float64]

_NOTHING = 1e-10  # of the largest tap of a side: what rounding leaves of none


def compose_kernels(
    kernels: Sequence[npt.ArrayLike], *, strides: Sequence[int] | None = None, period: int | None = None
) -> Array:
    """Compose a stack of kernels, first layer first, into the one kernel that does the same.

    Where no border interferes, this is exact for correlation, as networks have it, as it is for convolution.

    Args:
        kernels: ``(L,)`` each, or ``(H, W)`` each; as many dimensions as you like, if all have as many.
        strides: samples between neighbouring outputs of each layer; 1 unless given. A layer's taps lie as far apart as
            the layers below it have skipped, and the whole has the product of the strides.
        period: of circular signals, on every axis; taps beyond it wrap round.

    Returns:
        ``(1 + Σ (L - 1) · stride below,)`` on every axis, which is the stack's receptive field; ``(period,)`` where one
        is given.

    Raises:
        ShapeError: the kernels differ in their number of dimensions, or there are none, or not as many strides.

    Example:
        >>> compose_kernels([[1, 1], [1, 1], [1, 1]])
        array([1., 3., 3., 1.])
    """
    taps = [np.asarray(kernel, dtype=np.float64) for kernel in kernels]
    strides = [1] * len(taps) if strides is None else strides
    if not taps or len({kernel.ndim for kernel in taps}) > 1 or len(strides) != len(taps):
        shapes = ", ".join(str(kernel.shape) for kernel in taps) or "none"
        raise ShapeError(
            f"kernels of one number of dimensions are needed, and a stride for each; {shapes} and {len(strides)} came"
        )
    product, apart = np.ones((1,) * taps[0].ndim), 1
    for kernel, stride in zip(taps, strides, strict=True):
        product, apart = _times(product, kernel, apart), apart * stride
    return product if period is None else _wrapped(product, period)


def factor_kernel(kernel: npt.ArrayLike) -> list[Array]:
    """Factor a kernel into a stack of small ones: of size 3, and one of size 2 where the number of taps is even.

    A polynomial with real coefficients has its complex roots in pairs, and each pair is a real kernel of three taps;
    its real roots are joined two by two. Of two dimensions only a separable kernel comes apart: most polynomials in two
    unknowns have no factors.

    Args:
        kernel: ``(L,)``, or ``(H, W)`` of rank 1.

    Returns:
        Kernels ``(3,)``, or ``(3, 3)``, whose :func:`compose_kernels` is the kernel, with the same ``period`` as well.
        A side with an even number of taps has a factor of 2, and a shorter side runs out of factors and has ones of 1.

    Raises:
        OptionError: the kernel is 0 everywhere, or of two dimensions and not separable.
        ShapeError: it has another number of dimensions.

    Example:
        >>> [factor.round(2).tolist() for factor in factor_kernel([1, 0, 0, 0, 1])]
        [[1.0, 1.41, 1.0], [1.0, -1.41, 1.0]]
    """
    kernel = np.asarray(kernel, dtype=np.float64)
    if kernel.ndim not in (1, 2):
        raise ShapeError(f"a kernel (L,) or (H, W) is needed; one of shape {kernel.shape} came")
    if not kernel.any():
        raise OptionError("a kernel with a tap other than 0 is needed; all are 0")
    if kernel.ndim == 1:
        return _balanced(_quadratics(kernel), kernel)
    column, row = _separated(kernel)
    pairs = zip_longest(_quadratics(column), _quadratics(row), fillvalue=np.ones(1))
    return _balanced([np.outer(down, across) for down, across in pairs], kernel)


def _quadratics(kernel: Array) -> list[Array]:
    """Kernels of three taps, and perhaps one of two, whose stack is the kernel times a number."""
    (taken,) = kernel.nonzero()
    before, after = taken[0], len(kernel) - 1 - taken[-1]
    roots = np.polynomial.polynomial.polyroots(kernel[taken[0] : taken[-1] + 1])
    pairs = [np.array([abs(root) ** 2, -2 * root.real, 1.0]) for root in roots if root.imag > 0]
    real = sorted(roots[roots.imag == 0].real, key=abs)
    # Zeros before the taps are roots at zero, those after them roots at infinity. The smallest goes with the largest.
    linear = (
        [np.array([0.0, 1.0])] * before + [np.array([-root, 1.0]) for root in real] + [np.array([1.0, 0.0])] * after
    )
    while len(linear) > 1:
        pairs.append(np.convolve(linear.pop(0), linear.pop()))
    return pairs + linear or [np.ones(1)]


def _balanced(factors: list[Array], kernel: Array) -> list[Array]:
    """Scale factors to equal norms, so that their product is the kernel."""
    factors = [factor / np.linalg.norm(factor) for factor in factors]
    product = compose_kernels(factors)
    scale = float(np.sum(product * kernel) / np.sum(product**2))
    each = abs(scale) ** (1 / len(factors))
    return [factors[0] * math.copysign(each, scale), *(factor * each for factor in factors[1:])]


def _separated(kernel: Array) -> tuple[Array, Array]:
    sides = separate(kernel)
    if sides is None:
        raise OptionError("of two dimensions, only a kernel of rank 1 comes apart; one of a higher rank came")
    # What is not there is not a tap, and would be a root far away or near zero.
    column, row = (np.where(abs(side) > _NOTHING * abs(side).max(), side, 0.0) for side in sides)
    return column, row


def _times(a: Array, b: Array, apart: int) -> Array:
    """The product of two polynomials, the second one's powers so many times as high as its taps' places."""
    product = np.zeros([n + (m - 1) * apart for n, m in zip(a.shape, b.shape, strict=True)])
    for place, tap in np.ndenumerate(b):
        product[tuple(slice(apart * i, apart * i + n) for i, n in zip(place, a.shape, strict=True))] += tap * a
    return product


def _wrapped(kernel: Array, period: int) -> Array:
    folded = np.zeros((period,) * kernel.ndim)
    np.add.at(folded, np.ix_(*(np.arange(n) % period for n in kernel.shape)), kernel)
    return folded
