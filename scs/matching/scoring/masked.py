"""Energies of patches under a mask: window sums become correlations with the mask."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scs.matching.scoring.blocks import Size
from scs.matching.scoring.correlation import make_correlator
from scs.matching.scoring.scratch import Scratch

Plane = NDArray[Any]
Energies = NDArray[np.float64]
Weights = NDArray[np.float64]


class MaskSums:
    """Weighted sums over every patch of blocks of one size, in float64.

    With weights M, a patch x has the energy Σ M²x², and less its weighted mean m, Σ M²(x - m)².

    Attributes:
        binary: whether every weight is 0 or 1.
    """

    def __init__(self, weights: Weights, size: Size | None) -> None:
        self._weights = weights
        self.binary = bool(np.all((weights == 0) | (weights == 1)))
        self._totals = weights.sum((1, 2))
        self._square_totals = np.square(weights).sum((1, 2))
        self._of_mask = [make_correlator(channel[None], size) for channel in weights]
        self._of_squares = [make_correlator(np.square(channel)[None], size) for channel in weights]
        self._of_all_squares = make_correlator(np.square(weights), size)

    def energies(self, planes: NDArray[np.float64], centred: bool, whole: bool, scratch: Scratch) -> Energies:
        """Compute the energy of every patch.

        Args:
            planes: ``(C, H, W)``, padded to the size of the transform; they are lost.
            centred: less the energy of each channel's mean.
            whole: the pixels are whole numbers, so that sums under a mask of zeros and ones are rounded to such.
            scratch: memory for one thread.

        Returns:
            One number for every patch, and for the padding's.
        """
        whole = whole and self.binary
        squares = self._of_all_squares.analyse(np.square(planes), scratch)
        energy = self._of_all_squares.products(squares, scratch).copy()
        if whole:
            np.rint(energy, out=energy)
        if not centred:
            return energy
        for number, total in enumerate(self._totals):
            if not total:
                continue
            analysed = self._of_mask[number].analyse(planes[number : number + 1], scratch)
            sums = self._of_mask[number].products(analysed, scratch).copy()
            if whole:
                np.rint(sums, out=sums)
            means = sums / total
            if self.binary:
                energy -= means * sums
            else:
                weighted = self._of_squares[number].products(analysed, scratch)
                energy += means * (self._square_totals[number] * means - 2 * weighted)
        return energy
