"""The one interface of a loaded model, whatever runs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from models.onnx import native
from models.runtime.device import Device
from scs.errors import ModelError

Images = npt.NDArray[np.uint8]  # (N, H, W, C)
Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Gradients:
    """The logits ``(N, classes)`` of images, a layer's maps ``(N, K, H', W')``, and the gradients by these."""

    logits: Array
    maps: Array
    gradients: Array


class RunnableModel(Protocol):
    """A model that is loaded and ready to run. Safe to call from several threads."""

    device: Device
    concurrent_runs: int  # that together keep the cores busy and not each other waiting
    kernels: native.Kernels | None  # what runs its SCS layers; None where it has none, or no choice

    def logits(self, images: Images) -> Array:
        """Logits ``(N, classes)`` of images ``(N, H, W, C)``."""
        ...

    def layers(self, images: Images, names: Sequence[str]) -> dict[str, Array]:
        """Logits under the name ``logits``, and the maps ``(N, K, H', W')`` of the layers named."""
        ...

    def gradients(self, images: Images, name: str, direction: Array) -> Gradients:
        """Gradients of the sum of the logits times ``direction`` ``(N, classes)``, by the maps of the layer named.

        Raises:
            GradientError: an operator behind the layer has no rule, or the logits do not depend on the layer.
        """
        ...

    def kernel_input(self, images: Images, name: str) -> Array:
        """What the kernels of the layer named are laid over, ``(N, C', H', W')``, without the padding.

        Raises:
            OptionError: the layer has no kernels.
        """
        ...


def to_float32(values: Any) -> Array:
    """Return a network's numbers as float32, without a copy where they are; halves and doubles are converted.

    Raises:
        ModelError: something else than floating point came.
    """
    if not (isinstance(values, np.ndarray) and values.dtype.kind == "f"):
        kind = values.dtype if isinstance(values, np.ndarray) else type(values).__name__
        raise ModelError(f"a network's logits and layers need to be floating point; {kind} came")
    with np.errstate(over="ignore"):  # what is too large is infinite, which is refused
        return values.astype(np.float32, copy=False)
