"""Models that run in this process, for commands that were given no server."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from models.cards import catalogue
from models.runtime.load import choose_device
from scs.errors import OptionError
from service.api.files import Upload
from service.api.predict import PredictOptions, PredictResponse
from service.repository.loader import LoadedModel, load_entry
from service.settings import Settings, read_settings
from service.tasks.local import LocalPredictor


def open_model(settings: Settings, name: str | None, version: int | str | None) -> LoadedModel:
    """Load a model of the repository that the settings name; the default model unless one is named.

    Raises:
        UnknownNameError: there is no such model or version.
        ModelError: it cannot be used; the message says why.
    """
    entry = catalogue.find(settings.model_repository, name or settings.default_model, version)
    return load_entry(entry, choose_device(settings.device), settings.allow_torchscript)


def own_repository(settings: Settings, what: str) -> Path:
    """Return the folder of models to write to; never the one bundled with the package.

    Args:
        settings: those that name it.
        what: "an export", say, for the message.

    Raises:
        OptionError: no folder was named.
    """
    if "model_repository" not in settings.model_fields_set:
        raise OptionError(f"{what} needs a folder of your own: name one with --repository or SCS_MODEL_REPOSITORY")
    return settings.model_repository


def settings_for(repository: Path | None) -> Settings:
    """Read the settings from the environment, with another repository if one was named."""
    return read_settings(model_repository=repository)


def predict_here(model: LoadedModel, upload: Upload, options: PredictOptions, settings: Settings) -> PredictResponse:
    """Classify pictures as the service does, in its batches, without a deadline."""
    with closing(LocalPredictor(settings)) as predictor:
        return PredictResponse.model_validate(predictor.predict(model, upload, options))
