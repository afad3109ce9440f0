"""Score maps, and what the ways to compute them have in common."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scs.matching.arrays import Array
from scs.matching.methods import Method

Scores = NDArray[np.float32]
Weights = NDArray[np.float64]

PRECISION = 1e-5  # error that a normalised score may have, unless another is allowed
_OF_PRODUCTS = 0.8  # share of it that the rounding of products may take


@dataclass(frozen=True, eq=False)
class ScoreMap:
    """A map of scores: how well a template fits at every place of a scene.

    Attributes:
        scores: ``(H - h + 1, W - w + 1)``; entry (row, column) is for the patch that begins there. ``(L - l + 1,)``
            for a signal.
        flat: share of the patches, 0 to 1, that have no angle to the template, because they or the template are
            constant (for the methods that remove no mean: zero). It is 0 for the methods that are not normalised.

    Example:
        >>> from scs.matching.scores import score_map
        >>> blank = np.zeros((40, 50), np.uint8)
        >>> found = score_map(blank, np.eye(8, dtype=np.uint8))
        >>> isinstance(found, ScoreMap), found.scores.shape, found.flat
        (True, (33, 43), 1.0)
    """

    scores: Scores
    flat: float


def allowed_error(
    method: Method, dtype: np.dtype[Any], p: float, largest_reciprocal: float | None, error: float = PRECISION
) -> float:
    """Return the error of a product up to which float32 is precise enough; 0 where it never is.

    Args:
        method: that the products are for.
        dtype: of the scene.
        p: exponent of the similarities.
        largest_reciprocal: one over (norm + q) of the faintest patch, for the methods that are normalised.
        error: that a normalised score may have.
    """
    # Differences of nearly equal sums lose digits that float32 does not have.
    if (dtype == np.float64 and error <= PRECISION) or method.kind == "difference":
        return 0.0
    if largest_reciprocal is None:
        return math.inf
    sharpening = max(1.0, p) if method.kind == "similarity" else 1.0
    return _OF_PRODUCTS * error / max(largest_reciprocal * sharpening, 1e-30)


def runs_alike(templates: list[tuple[Array, Weights | None]]) -> Iterator[Iterator[tuple[Array, Weights | None]]]:
    """Group neighbouring templates of one size and one mask, which share what is computed of the scene."""
    for _, alike in groupby(templates, lambda template: (template[0].shape, id(template[1]))):
        yield alike


def in_units(scores: Scores, scale: float) -> Scores:
    """Scale scores that are not normalised back to the units of the pixels, which were divided by a scale.

    Where float32 cannot hold the largest, all of them are smaller by the same factor, so that the best stays the best.
    """
    largest = float(np.abs(scores).max())
    factor = min(scale * scale, float(np.finfo(np.float32).max) / largest) if largest else 1.0
    return (scores * np.float64(factor)).astype(np.float32)
