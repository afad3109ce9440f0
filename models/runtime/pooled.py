"""What of a class's map, plus the class's bias, is the logit: its mean, or its maximum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.cards.card import Pooling


def pooled(maps: NDArray[np.floating], pooling: Pooling) -> NDArray[np.float64]:
    """Return the mean or the maximum ``(…)`` of each of the maps ``(…, H, W)``."""
    if pooling == "maximum":
        return np.asarray(maps.max((-2, -1)), np.float64)
    return np.asarray(maps.mean((-2, -1), dtype=np.float64))
