"""Run images one by one, on a network that takes no more."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.runtime.session import Array, Gradients, Images, RunnableModel


class OneAtATime:
    """A model that is handed each image of a batch by itself.

    Args:
        model: what runs them.
    """

    def __init__(self, model: RunnableModel) -> None:
        self.model, self.device, self.kernels = model, model.device, model.kernels
        self.concurrent_runs = model.concurrent_runs

    def logits(self, images: Images) -> Array:
        """Logits ``(N, classes)`` of images ``(N, H, W, C)``."""
        return np.concatenate([self.model.logits(images[i : i + 1]) for i in range(len(images))])

    def layers(self, images: Images, names: Sequence[str]) -> dict[str, Array]:
        """Logits under the name ``logits``, and the maps ``(N, K, H', W')`` of the layers named."""
        runs = [self.model.layers(images[i : i + 1], names) for i in range(len(images))]
        return {name: np.concatenate([run[name] for run in runs]) for name in ["logits", *names]}

    def gradients(self, images: Images, name: str, direction: Array) -> Gradients:
        """Gradients of the logits times ``direction`` ``(N, classes)`` by a layer's maps."""
        runs = [self.model.gradients(images[i : i + 1], name, direction[i : i + 1]) for i in range(len(images))]
        return Gradients(
            np.concatenate([run.logits for run in runs]),
            np.concatenate([run.maps for run in runs]),
            np.concatenate([run.gradients for run in runs]),
        )

    def kernel_input(self, images: Images, name: str) -> Array:
        """What the kernels of the layer named are laid over, ``(N, C', H', W')``."""
        return np.concatenate([self.model.kernel_input(images[i : i + 1], name) for i in range(len(images))])
