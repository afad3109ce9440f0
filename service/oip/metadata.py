"""Metadata of the server and of its models, as the protocol has it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from models.cards.card import Format, ModelCard
from service.oip.images import INPUT
from service.repository.loader import LoadedModel

NAME = "scs-serve"
OUTPUT = "logits"
EXTENSIONS = (
    "binary_tensor_data",
    "classification",
    "model_configuration",
    "model_repository",
    "statistics",
)
PLATFORMS: dict[Format, str] = {"onnx": "onnxruntime_onnx", "torchscript": "pytorch_libtorch"}


def server_metadata() -> dict[str, Any]:
    """Return the server's name, its version and the extensions of the protocol that it has."""
    return {"name": NAME, "version": version(NAME), "extensions": list(EXTENSIONS)}


def image_shape(card: ModelCard) -> list[int]:
    """Return an image's height, width and channels; -1 stands for any size."""
    size = [card.input.height, card.input.width] if card.input.fixed else [-1, -1]
    return [*size, card.input.channels]


def outputs(card: ModelCard) -> list[int]:
    """Return how many numbers an image gets in each output: one output, or none of a model without classes."""
    return [len(card.labels)] if card.labels else []


def model_metadata(card: ModelCard, usable: Sequence[LoadedModel]) -> dict[str, Any]:
    """Return a model's name, its versions that can be used, and its tensors; -1 stands for any size."""
    return {
        "name": card.name,
        "versions": [str(model.card.version) for model in usable],
        "platform": PLATFORMS[card.format],
        "inputs": [{"name": INPUT, "datatype": "UINT8", "shape": [-1, *image_shape(card)]}],
        "outputs": [{"name": OUTPUT, "datatype": "FP32", "shape": [-1, classes]} for classes in outputs(card)],
    }
