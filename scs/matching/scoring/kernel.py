"""Templates prepared for correlation: the kernel that a scene is correlated with, and its norm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scs.matching.methods import Method
from scs.matching.products import dot

_FLAT = 1e-13  # a template whose energy falls below this share as its mean is removed holds nothing but rounding


@dataclass(frozen=True, eq=False)
class Kernel:
    """A template prepared for correlation: a kernel of norm 1, and the template's norm.

    The product of patch and template, weighted and centred as the method asks, is ``norm`` times the plain product of
    the patch with ``unit``: centring the template is enough, since what it takes from a patch is orthogonal to it.

    Attributes:
        unit: ``(C, h, w)``, float64, divided by ``norm``; zeros where the template is flat.
        norm: of the weighted (and centred) template; 0 where it is flat.
    """

    unit: NDArray[np.float64]
    norm: float


def prepare_kernel(template: NDArray[Any], weights: NDArray[np.float64] | None, method: Method) -> Kernel:
    """Centre, weigh and normalise a template ``(C, h, w)``.

    ``weights`` are of the same shape, and multiply patch and template alike (as OpenCV's masks do).
    """
    values = template.astype(np.float64)
    if weights is None:
        return _unweighted(values, method.centred)
    weighed = weights * (values - weighted_means(values, weights)) if method.centred else weights * values
    norm = math.sqrt(dot(weighed, weighed))
    if norm**2 <= _FLAT * float(np.sum(np.square(weights * values))):
        return Kernel(np.zeros_like(values), 0.0)
    if method.centred:
        weighed = weighed - weighted_means(weighed, weights)
    return Kernel(weights * weighed / norm, norm)


def _unweighted(values: NDArray[np.float64], centred: bool) -> Kernel:
    """See ``prepare_kernel``."""
    unit = values - values.mean((1, 2), keepdims=True) if centred else values
    square = dot(unit, unit)
    if square <= _FLAT * dot(values, values):
        return Kernel(np.zeros_like(values), 0.0)
    norm = math.sqrt(square)
    return Kernel((unit - unit.mean((1, 2), keepdims=True)) / norm if centred else unit / norm, norm)


def weighted_means(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the weighted mean of each channel, ``(C, 1, 1)``; 0 where a channel has no weight."""
    totals = weights.sum((1, 2), keepdims=True)
    sums = (weights * values).sum((1, 2), keepdims=True)
    means: NDArray[np.float64] = np.divide(sums, totals, out=np.zeros_like(sums), where=totals > 0)
    return means
