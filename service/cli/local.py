"""Run a model in this process, for commands that were given no server."""

from __future__ import annotations

from pathlib import Path

from models.cards import catalogue
from models.runtime.load import choose_device
from service.repository.loader import LoadedModel, load_entry
from service.settings import Settings, read_settings


def open_model(settings: Settings, name: str | None, version: int | str | None) -> LoadedModel:
    """Load one model of the repository that the settings name, the default one unless told.

    Raises:
        UnknownNameError: there is no such model or version.
        ModelError: it cannot be used; the message says why.
    """
    entry = catalogue.find(settings.model_repository, name or settings.default_model, version)
    return load_entry(entry, choose_device(settings.device), settings.allow_torchscript)


def settings_for(repository: Path | None) -> Settings:
    """The settings of the environment, with another repository if one was named."""
    return read_settings(model_repository=repository)
