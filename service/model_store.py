"""The models of a repository, loaded and warmed up, and the reasons of those that could not be."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models import catalogue
from models.card import ModelCard
from models.catalogue import Entry
from models.runtime import Device, RunnableModel, load_model
from scs.errors import MissingPackageError, ModelError, ScsError, UnknownNameError

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedModel:
    """A model that has answered a warm-up."""

    card: ModelCard
    runtime: RunnableModel


@dataclass(frozen=True)
class Unavailable:
    """A model that cannot be used, and why; ``required`` ones keep the service from being ready."""

    card: ModelCard | None
    reason: str
    required: bool


class ModelStore:
    """Every version of every model of a repository.

    Args:
        repository: folder of models.
        device: where they run.
        default_model: the one that answers when none is named.
    """

    def __init__(self, repository: Path, device: Device, default_model: str) -> None:
        self.repository, self.device, self.default_model = repository, device, default_model
        self._models: dict[Entry, LoadedModel | Unavailable] = {}

    def load_all(self) -> None:
        """Load what the repository holds; a model that fails is kept as unavailable, with its reason."""
        for entry in catalogue.entries(self.repository):
            state = self._models[entry] = _load(entry, self.device)
            if isinstance(state, Unavailable):
                _log.warning("%s %d is not available: %s", entry.name, entry.version, state.reason)
            else:
                _log.info("%s %d is ready on %s", entry.name, entry.version, state.runtime.device)

    def ready(self) -> bool:
        """Whether the default model and every model that should load here has answered its warm-up."""
        missing = any(isinstance(state, Unavailable) and state.required for state in self._models.values())
        return not missing and any(
            entry.name == self.default_model and isinstance(state, LoadedModel) for entry, state in self._models.items()
        )

    def states(self) -> dict[Entry, LoadedModel | Unavailable]:
        """Every version of every model, by name and version."""
        return dict(self._models)

    def state(self, name: str | None = None, version: int | None = None) -> tuple[Entry, LoadedModel | Unavailable]:
        """One version of a model: unless told, of the default model, and the newest version that can be used.

        Raises:
            UnknownNameError: there is no such model or version.
        """
        name = name or self.default_model
        versions = {entry.version: entry for entry in self._models if entry.name == name}
        if not versions:
            names = ", ".join(dict.fromkeys(entry.name for entry in self._models)) or "none"
            raise UnknownNameError(f"no model '{name}'; there are: {names}")
        if version is not None and version not in versions:
            raise UnknownNameError(
                f"no version {version} of {name}; there are: {', '.join(map(str, sorted(versions)))}"
            )
        usable = [number for number, entry in versions.items() if isinstance(self._models[entry], LoadedModel)]
        entry = versions[max(usable or versions) if version is None else version]
        return entry, self._models[entry]

    def get(self, name: str | None = None, version: int | None = None) -> LoadedModel:
        """A model that can be used.

        Raises:
            UnknownNameError: there is no such model or version.
            ModelError: it is there and cannot be used; the message says why.
        """
        entry, state = self.state(name, version)
        if isinstance(state, Unavailable):
            raise ModelError(f"{entry.name} {entry.version} is not available: {state.reason}")
        return state


def load_entry(entry: Entry, device: Device) -> LoadedModel:
    """Load one model, its file's digest checked, and let it answer a warm-up.

    Raises:
        ModelError, MissingPackageError, DeviceError: why it cannot be used.
    """
    card = entry.card()
    runtime = load_model(entry.verified_bytes(), card, device)
    blank = np.zeros((1, card.input.height, card.input.width, card.input.channels), np.uint8)
    try:
        runtime.layers(blank, [layer.name for layer in card.layers])
        logits = runtime.logits(blank)
    except Exception as error:  # each runtime raises classes of its own
        raise ModelError(f"{card.name} {card.version} did not answer a blank image: {str(error)[:200]}") from error
    if logits.shape != (1, len(card.labels)):
        raise ModelError(f"{card.name} {card.version} needs {len(card.labels)} logits an image; {logits.shape} came")
    return LoadedModel(card, runtime)


def _load(entry: Entry, device: Device) -> LoadedModel | Unavailable:
    try:
        return load_entry(entry, device)
    except MissingPackageError as error:
        return Unavailable(_or_none(entry.card), str(error), required=False)
    except ScsError as error:
        return Unavailable(_or_none(entry.card), str(error), required=True)
    except OSError as error:
        return Unavailable(_or_none(entry.card), f"its files cannot be read: {error.strerror}", required=True)


def _or_none(read: Callable[[], ModelCard]) -> ModelCard | None:
    try:
        return read()
    except (ScsError, OSError):
        return None
