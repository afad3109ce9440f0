"""Load an exported model: ONNX on ONNX Runtime, or TorchScript where torch is installed.

Both kinds answer the same two questions: what are the logits of these images, and what do these layers look like.
"""

from __future__ import annotations

from collections.abc import Callable

from models.cards.card import ModelCard
from models.runtime.device import Device, choose_device, cuda_obstacle, usable_cores
from models.runtime.onnx_session import OnnxModel
from models.runtime.session import Array, Gradients, Images, RunnableModel
from models.runtime.torchscript import TorchScriptModel

__all__ = [
    "Array",
    "Device",
    "Gradients",
    "Images",
    "RunnableModel",
    "choose_device",
    "cuda_obstacle",
    "load_model",
    "usable_cores",
]


def load_model(
    content: bytes,
    card: ModelCard,
    device: Device,
    read_again: Callable[[], bytes] | None = None,
    *,
    is_tried: bool = False,
) -> RunnableModel:
    """Load a model file's bytes.

    Args:
        content: the file, its SHA-256 already checked.
        card: its card.
        device: where it shall run.
        read_again: returns the file's bytes once more, checked again; those of a large model are then not kept.
        is_tried: whether it was loaded before, in another process; a large model then waits until it is run.

    Returns:
        A model whose ``logits(images)`` are ``(N, classes)``, and whose ``layers(images, names)`` are also the maps of
        its layers by their names on the card; images are ``(N, H, W, C)``, uint8.

    Raises:
        ModelError: the file is broken, or does not have what its card promises.
        DeviceError: the device is not there.
        MissingPackageError: a TorchScript model where torch is not installed.

    Example:
        >>> import numpy as np
        >>> from models.cards.catalogue import bundled_repository, find
        >>> entry = find(bundled_repository(), "mnist-scs")
        >>> model = load_model(entry.verified_bytes(), entry.card(), "cpu")
        >>> model.logits(np.zeros((1, 28, 28, 1), np.uint8)).shape
        (1, 10)
    """
    if card.format == "onnx":
        return OnnxModel(content, card, device, read_again, is_tried=is_tried)
    return TorchScriptModel(content, card, device)
