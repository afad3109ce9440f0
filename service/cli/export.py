"""The command ``scs export``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from models.cards import catalogue
from models.cards.card import GeometryCard, InputCard
from models.datasets.dataset import Dataset
from models.datasets.own import open_own
from models.training.recipes import RECIPES, recipe_for
from scs.errors import DataError, MissingPackageError
from service.cli import options
from service.cli.dataset import open_dataset
from service.cli.local_models import own_repository, settings_for
from service.cli.own_data import decoded
from service.cli.printing.plain import plain_console, say, say_json
from service.settings import Settings


class ExportFormat(StrEnum):
    """The file formats that a network can be exported to."""

    onnx = "onnx"
    torchscript = "torchscript"


Name = Annotated[str, typer.Argument(help="What was trained, and the model's name: cifar10-scs, say.")]
Runs = Annotated[
    Path | None, typer.Option(help="Folder of this model's trainings; runs/NAME unless given.", file_okay=False)
]
Version = Annotated[int | None, typer.Option(min=1, help="Replace this version; a new one unless given.")]
Format = Annotated[ExportFormat, typer.Option("--format", help="Kind of file.")]
Compose = Annotated[
    bool, typer.Option("--compose", help="Merge linear neighbours of an ONNX file, where that is exact.")
]


def export(
    name: Name,
    data: options.OwnData = None,
    download: options.Download = False,
    runs: Runs = None,
    repository: options.OwnRepository = None,
    version: Version = None,
    file_format: Format = ExportFormat.onnx,
    compose: Compose = False,
    skip_broken: options.SkipBroken = False,
    json: options.Json = False,
) -> None:
    """Export the model's training with the best validation accuracy, and measure the file.

    The file is compared with the network on random and on real images; if they differ, nothing is written.

    Example: scs export cifar10-scs --data ~/data --repository my-models
    """
    try:
        from models.export.export import export_runs
        from models.training.runs import RESULT, run_result
    except ImportError as error:
        raise MissingPackageError(f"scs export needs {error.name}: pip install 'scs-serve[train]'") from None
    settings = settings_for(repository)
    into = own_repository(settings, "an export")
    folder = runs or Path("runs") / name
    finished = sorted(path.parent for path in folder.glob(f"*/{RESULT}"))
    if not finished:
        raise DataError(f"an export needs a finished training in {folder}; there is none: run scs train {name} first")
    if version is None:
        version = max((entry.version for entry in catalogue.entries(into) if entry.name == name), default=0) + 1
    own = run_result(finished[0])["own"] if name not in RECIPES else None
    if own is None:
        dataset = open_dataset(recipe_for(name).dataset, data, download)
    else:
        dataset = _test_pictures(name, own, data, settings, skip_broken)
    with plain_console(stderr=True).status(f"exporting {name}: writing, comparing, measuring"):
        card = export_runs(name, finished, dataset, into, version, file_format.value, compose)
    if json:
        say_json(card.model_dump_json(indent=2))
        return
    assert card.accuracy is not None  # an export measures what it writes
    say(
        f"{into / name / str(version) / card.file_name}: {card.parameters:,} parameters, "
        f"{card.accuracy.accuracy:.2%} on {card.accuracy.dataset}"
    )


def _test_pictures(name: str, own: dict[str, Any], path: Path | None, settings: Settings, skip_broken: bool) -> Dataset:
    """Decode the pictures that a model of somebody's own data is measured on, as those of its training were."""
    if path is None:
        raise DataError(f"an export of {name} needs the pictures that it was trained on: name them with --data")
    channels: Literal[1, 3] = 1 if own["channels"] == 1 else 3
    geometry = GeometryCard(**own["geometry"]) if own["geometry"] else None
    wanted = InputCard(width=own["width"], height=own["height"], channels=channels, smallest=1, geometry=geometry)
    return decoded(open_own(path), wanted, own["split_seed"] or 0, settings, only=("test",), skip_broken=skip_broken)
