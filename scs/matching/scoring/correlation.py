"""Cross-correlation of kernels with every patch of a block: directly for small kernels, by FFT for larger ones."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from scs.compiled import compiled
from scs.matching.arrays import Array
from scs.matching.scoring.region import Region
from scs.matching.scoring.scratch import Scratch
from scs.matching.scoring.spectra import inverse, multiply, transform

_SAMPLES = 4  # along each side of a block
_EPSILON = float(np.finfo(np.float32).eps) / 2


class Correlator(Protocol):
    """A kernel ``(C, h, w)`` that is correlated with blocks, in the precision of the block."""

    def analyse(self, planes: Array, scratch: Scratch) -> list[Array]:
        """Prepare, in place, what every kernel of this shape needs of a block ``(C, rows, columns)``."""

    def products(self, analysed: Sequence[Array], scratch: Scratch) -> Array:
        """Correlate with every patch, into scratch memory: ``(rows - h + 1, columns - w + 1)``."""

    def rounding(self, energy: float, planes: Sequence[Array]) -> float:
        """Estimate the largest rounding error of a product in float32, for a kernel of norm 1.

        Args:
            energy: of the block.
            planes: its channels.
        """


class DirectCorrelator:
    """Correlation by the definition, the fastest for small kernels."""

    def __init__(self, unit: NDArray[np.float64]) -> None:
        self.unit = unit

    def analyse(self, planes: Array, scratch: Scratch) -> list[Array]:
        """Return the channels of the block as they are."""
        return list(planes)

    def products(self, analysed: Sequence[Array], scratch: Scratch) -> Array:
        """Correlate with every patch; see :class:`Correlator`."""
        shape, dtype = analysed[0].shape, analysed[0].dtype
        total = scratch.array("products", shape, dtype)
        for number, (plane, channel) in enumerate(zip(analysed, self.unit, strict=True)):
            product = total if number == 0 else scratch.array("product", shape, dtype)
            kernel = channel.astype(dtype)
            cv2.filter2D(plane, -1, kernel, product, anchor=(0, 0), borderType=cv2.BORDER_CONSTANT)
            if number:
                total += product
        _, height, width = self.unit.shape
        return total[: shape[0] - height + 1, : shape[1] - width + 1]

    def rounding(self, energy: float, planes: Sequence[Array]) -> float:
        """Estimate the rounding error, which depends on a sum's own patch alone; see :class:`Correlator`."""
        largest = max(float(cv2.norm(plane, cv2.NORM_INF)) for plane in planes)
        return _EPSILON * float(np.sqrt(self.unit.size)) * largest


class SpectralCorrelator:
    """Correlation by FFT (convolution theorem), with channels summed before the one inverse transform."""

    def __init__(self, unit: NDArray[np.float64], size: tuple[int, int]) -> None:
        self.unit = unit
        self.size = size

    def analyse(self, planes: Array, scratch: Scratch) -> list[Array]:
        """Transform the channels to spectra."""
        return [transform(plane, plane) for plane in planes]

    def products(self, analysed: Sequence[Array], scratch: Scratch) -> Array:
        """Correlate with every patch; see :class:`Correlator`."""
        kernels = self._single if analysed[0].dtype == np.float32 else self._double
        total = scratch.array("total", self.size, analysed[0].dtype)
        multiply(analysed[0], kernels[0], total)
        for spectrum, kernel in zip(analysed[1:], kernels[1:], strict=True):
            total += multiply(spectrum, kernel, scratch.array("term", self.size, total.dtype))
        # The kernel is flipped, so that products wrap round into the first rows and columns, which are cut off.
        return inverse(total, total)[self.unit.shape[1] - 1 :, self.unit.shape[2] - 1 :]

    def rounding(self, energy: float, planes: Sequence[Array]) -> float:
        """Estimate the rounding error, which depends on the whole block; see :class:`Correlator`.

        The factors are measured.
        """
        share = self.unit[0].size / (self.size[0] * self.size[1])
        rounding: float = 6 * share**0.25 * _EPSILON * max(energy, 0.0) ** 0.5
        return rounding

    @cached_property
    def _single(self) -> list[Array]:
        return self._spectra(np.float32)

    @cached_property
    def _double(self) -> list[Array]:
        return self._spectra(np.float64)

    def _spectra(self, dtype: type[np.floating[Any]]) -> list[Array]:
        _, height, width = self.unit.shape
        spectra = []
        for channel in self.unit:
            padded = np.zeros(self.size, dtype)
            padded[:height, :width] = channel[::-1, ::-1]
            spectra.append(transform(padded, np.empty_like(padded)))
        return spectra


def make_correlator(unit: NDArray[np.float64], size: tuple[int, int] | None) -> Correlator:
    """Make a spectral correlator for transforms of the given size, a direct one where there is none."""
    return DirectCorrelator(unit) if size is None else SpectralCorrelator(unit, size)


def sampled_error(region: Region, unit: NDArray[np.float64], products: Array) -> float:
    """Estimate the root mean square error of products, on an even grid of places where they are computed in float64.

    Args:
        region: what they are products of.
        unit: the kernel ``(C, h, w)``.
        products: ``(rows - h + 1, columns - w + 1)``, or fewer.
    """
    rows, columns = ((2 * np.arange(_SAMPLES) + 1) * places // (2 * _SAMPLES) for places in products.shape)
    exact = np.zeros((_SAMPLES, _SAMPLES))
    for plane, level, channel in zip(region.planes, region.levels, unit, strict=True):
        _add_products(plane, level, channel, rows, columns, exact)
    return float(np.sqrt(np.mean(np.square(products[np.ix_(rows, columns)] - exact))))


@compiled
def _add_products(
    plane: Array, level: float, channel: Array, rows: NDArray[Any], columns: NDArray[Any], exact: Array
) -> None:
    for row in range(rows.size):
        for column in range(columns.size):
            total = 0.0
            for i in range(channel.shape[0]):
                values, shares = plane[rows[row] + i, columns[column] :], channel[i]
                for j in range(shares.size):
                    total += (values[j] - level) * shares[j]
            exact[row, column] += total
