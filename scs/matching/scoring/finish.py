"""The formulas of the matching methods: scores from products, energies and norms."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scs.compiled import compiled
from scs.matching.arrays import Array
from scs.matching.methods import Method
from scs.matching.scoring.kernel import Kernel
from scs.matching.scoring.norms import Energies, PatchNorms

Scores = NDArray[np.float32]

_LARGEST = float(np.finfo(np.float32).max)


def write_scores(
    products: Array,
    energy: Energies | None,
    norms: PatchNorms | None,
    kernel: Kernel,
    method: Method,
    p: float,
    q: float,
    out: Scores,
) -> None:
    """Write a method's scores of one block.

    Args:
        products: ``(rows, columns)``, of every patch with the kernel's unit.
        energy: of the same patches, float64, for the differences.
        norms: of the same patches, for the methods that are normalised.
        kernel: the template.
        method: how they are compared.
        p: exponent of the similarities.
        q: noise floor of the similarities, already part of the norms.
        out: ``(rows, columns)``.
    """
    if energy is not None:
        _write_differences(products, energy, norms, kernel, out)
    elif norms is None:
        np.clip(products * kernel.norm, -_LARGEST, _LARGEST, out=out, casting="unsafe")
    else:
        sharpened = method.kind == "similarity"
        gain = kernel.norm / (kernel.norm + q) if sharpened and kernel.norm else 1.0
        square = sharpened and p == 2
        _write_cosines(products, norms.reciprocal, products.dtype.type(gain), square, out)
        if sharpened and p not in (1, 2):
            np.copysign(np.abs(out) ** np.float32(p), out, out=out)


def _write_differences(
    products: Array, energy: Energies, norms: PatchNorms | None, kernel: Kernel, out: Scores
) -> None:
    differences = energy + kernel.norm**2 - 2 * kernel.norm * products
    if norms is None:
        np.clip(differences, 0, _LARGEST, out=out, casting="unsafe")
    elif kernel.norm:
        differences *= norms.reciprocal / kernel.norm
        differences[norms.reciprocal == 0] = 1
        np.clip(differences, 0, 1, out=out, casting="unsafe")
    else:
        out[:] = 1


@compiled
def _write_cosines(products: Array, reciprocal: NDArray[np.float32], gain: Any, square: bool, out: Scores) -> None:
    for row in range(out.shape[0]):
        dots, over_norms, scores = products[row], reciprocal[row], out[row]
        if square:
            for column in range(scores.size):
                cosine = min(max(dots[column] * over_norms[column], -1), 1) * gain
                scores[column] = cosine * abs(cosine)
        else:
            for column in range(scores.size):
                scores[column] = min(max(dots[column] * over_norms[column], -1), 1) * gain
