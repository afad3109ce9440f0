"""Class maps that are computed from a layer's maps and the gradients of a logit by them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.runtime.session import Array


def grad_cam(maps: Array, gradients: Array) -> Array:
    """Sum the maps of a layer, each times the mean of its gradient, and keep what is positive (Grad-CAM).

    Args:
        maps: ``(N, C, H, W)``.
        gradients: of a logit by these.

    Returns:
        ``(N, H, W)``, at least 0; in the units of the logit.

    Source:
        R. Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization" (2017).
    """
    weights = gradients.mean((2, 3), keepdims=True, dtype=np.float64)
    return _positive((maps * weights).sum(1))


def layer_cam(maps: Array, gradients: Array) -> Array:
    """Sum the maps of a layer, each number times its own gradient where that is positive (LayerCAM).

    Args:
        maps: ``(N, C, H, W)``.
        gradients: of a logit by these.

    Returns:
        ``(N, H, W)``, at least 0; in the units of the logit.

    Source:
        P. Jiang et al., "LayerCAM: Exploring Hierarchical Class Activation Maps for Localization" (2021).
    """
    return _positive((maps * gradients.clip(min=0)).sum(1, dtype=np.float64))


def eigen_cam(maps: Array) -> Array:
    """Project a layer's features onto the direction in which they vary most over the picture (Eigen-CAM).

    It shows what stands out, whatever class is asked for. Features are taken from their mean over the picture. A
    direction has no sign of its own: the larger magnitude is made positive, as by Chung and Ying.

    Args:
        maps: ``(N, C, H, W)``.

    Returns:
        ``(N, H, W)``, of both signs; in the units of the maps.

    Source:
        M. Muhammad and M. Yeasin, "Eigen-CAM: Class Activation Map using Principal Components" (2020); C.-T. Chung and
        J. Ying, "Seg-Eigen-CAM" (2025), equation 13.
    """
    return np.stack([_projected(each) for each in maps])


def _projected(maps: Array) -> Array:
    features = maps.reshape(len(maps), -1).T.astype(np.float64)
    features = features - features.mean(0)
    # Of the two products of features with themselves, the smaller one has the direction in it, too.
    if features.shape[0] < features.shape[1]:
        values, vectors = np.linalg.eigh(features @ features.T)
        projected = vectors[:, -1] * np.sqrt(max(values[-1], 0.0))
    else:
        projected = features @ np.linalg.eigh(features.T @ features)[1][:, -1]
    if -projected.min() > projected.max():
        projected = -projected
    shaped: Array = projected.reshape(maps.shape[1:]).astype(np.float32)
    return shaped


def _positive(values: NDArray[np.floating]) -> Array:
    positive: Array = np.maximum(values, 0).astype(np.float32)
    return positive
