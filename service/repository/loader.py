"""The loading of one version of a model: its file is checked, loaded, and warmed up on a blank image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.cards.card import ModelCard
from models.cards.catalogue import Entry
from models.runtime.load import Device, RunnableModel, load_model
from scs.errors import ForbiddenError, ModelError


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model that has answered a warm-up; immutable, so that a request ends with the model it began with."""

    card: ModelCard
    runtime: RunnableModel


def load_entry(entry: Entry, device: Device, allow_torchscript: bool, loaded: LoadedModel | None = None) -> LoadedModel:
    """Load one model: check its file's digest, load it, and run a warm-up.

    Args:
        entry: the model.
        device: where it shall run.
        allow_torchscript: whether it may be a program.
        loaded: what is loaded of it; given back where card and file are still the same.

    Raises:
        ModelError, MissingPackageError, DeviceError: why it cannot be used.
        ForbiddenError: it is TorchScript, and that is not allowed.
        OSError: its files cannot be read.
    """
    card = entry.card()
    if card.format == "torchscript" and not allow_torchscript:
        raise ForbiddenError(
            f"{card.name} {card.version} is TorchScript, a program; it runs where SCS_ALLOW_TORCHSCRIPT=true says so"
        )
    content = entry.verified_bytes(card)
    if loaded is not None and loaded.card == card:
        return loaded
    runtime = load_model(content, card, device)
    blank = np.zeros((1, card.input.height, card.input.width, card.input.channels), np.uint8)
    try:
        runtime.layers(blank, [layer.name for layer in card.layers])
        logits = runtime.logits(blank)
    except Exception as error:  # each runtime raises classes of its own
        raise ModelError(f"{card.name} {card.version} did not answer a blank image: {str(error)[:200]}") from error
    if logits.shape != (1, len(card.labels)):
        raise ModelError(f"{card.name} {card.version} needs {len(card.labels)} logits an image; {logits.shape} came")
    return LoadedModel(card, runtime)
