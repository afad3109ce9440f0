"""``scs export``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from models.cards import catalogue
from models.training.recipes import recipe_for
from scs.errors import DataError, MissingPackageError, OptionError
from service.cli import options
from service.cli.data import open_dataset
from service.cli.local import settings_for


class ExportFormat(StrEnum):
    """What a network can be exported as."""

    onnx = "onnx"
    torchscript = "torchscript"


def export(
    name: Annotated[str, typer.Argument(help="What was trained, and the model's name: cifar10-scs, say.")],
    data: options.Data = None,
    download: options.Download = False,
    runs: Annotated[
        Path | None, typer.Option(help="Folder of this model's trainings; runs/NAME unless given.", file_okay=False)
    ] = None,
    repository: Annotated[
        Path | None, typer.Option(help="Folder of models to write to; SCS_MODEL_REPOSITORY unless given.")
    ] = None,
    version: Annotated[int | None, typer.Option(min=1, help="Replace this version; a new one unless given.")] = None,
    file_format: Annotated[ExportFormat, typer.Option("--format", help="Kind of file.")] = ExportFormat.onnx,
    compose: Annotated[
        bool, typer.Option("--compose", help="Merge linear neighbours of an ONNX file, where that is exact.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Export the best of the trainings of a model, by the images held back, and measure the file.

    The file is compared with the network on random and on real images; if they differ, nothing is written.

    Example: scs export cifar10-scs --data ~/data --repository my-models
    """
    recipe = recipe_for(name)
    try:
        from models.export.export import export_runs
        from models.training.train import RESULT
    except ImportError as error:
        raise MissingPackageError(f"scs export needs {error.name}: pip install 'scs-serve[train]'") from None
    settings = settings_for(repository)
    if "model_repository" not in settings.model_fields_set:
        raise OptionError("an export needs a folder of your own: name one with --repository or SCS_MODEL_REPOSITORY")
    into = settings.model_repository
    folder = runs or Path("runs") / name
    finished = sorted(path.parent for path in folder.glob(f"*/{RESULT}"))
    if not finished:
        raise DataError(f"an export needs a finished training in {folder}; there is none: run scs train {name} first")
    if version is None:
        version = max((entry.version for entry in catalogue.entries(into) if entry.name == name), default=0) + 1
    dataset = open_dataset(recipe.dataset, data, download)
    with Console(stderr=True).status(f"exporting {name}: writing, comparing, measuring"):
        card = export_runs(name, finished, dataset, into, version, file_format.value, compose)
    if json:
        print(card.model_dump_json(indent=2))
        return
    assert card.accuracy is not None  # an export measures what it writes
    print(
        f"{into / name / str(version) / card.file_name}: {card.parameters:,} parameters, "
        f"{card.accuracy.accuracy:.2%} on {card.accuracy.dataset}"
    )
