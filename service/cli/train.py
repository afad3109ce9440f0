"""The command ``scs train``."""

from __future__ import annotations

import dataclasses
import json as json_format
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from models.datasets.dataset import Dataset
from models.datasets.decoded import Mode
from models.normalisation import Normalise
from models.training.allocator import keep_freed_memory
from models.training.recipes import RECIPES, Recipe, recipe_for
from scs.errors import DataError, MissingPackageError, OptionError
from service.cli import options
from service.cli.dataset import open_dataset
from service.cli.import_ import parse_size
from service.cli.local_models import settings_for
from service.cli.printing.plain import say, say_json

if TYPE_CHECKING:
    from models.training.learner import Step
    from service.cli.own_training import Asked


class ResizeMode(StrEnum):
    """How pictures come to a network's size."""

    stretch = "stretch"
    crop = "crop"
    letterbox = "letterbox"


Name = Annotated[
    str,
    typer.Argument(help="What to train: a data set and a family, as in cifar10-scs; or a name for your own pictures."),
]
Epochs = Annotated[int | None, typer.Option(min=1, help="The recipe's unless given.")]
Patience = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Epochs without a lower loss on what is held back, after which training stops and its best epoch is kept; "
        "0: never. Of your own pictures a third of all epochs, 10 at least, unless given.",
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        min=0, max=options.MOST_SEED, help="Decides the first weights, the order of the images, their changes."
    ),
]
Out = Annotated[Path | None, typer.Option(help="Folder of the run; runs/NAME/seed-SEED unless given.")]
RecipeName = Annotated[
    str | None,
    typer.Option(
        help="Of your own pictures: scs or conv, with -small, -medium or -large to choose that; scs unless given."
    ),
]
Size = Annotated[str | None, typer.Option(help="Width and height of the network's pictures, such as 128 or 160x120.")]
Width = Annotated[int | None, typer.Option(help="Kernels of the first layer; the recipe's unless given.")]
Depth = Annotated[int | None, typer.Option(help="Layers between one halving of the maps and the next.")]
Resize = Annotated[
    ResizeMode | None, typer.Option(help="How pictures come to the size; crop where their shapes differ unless given.")
]
Mirror = Annotated[
    bool | None,
    typer.Option("--mirror/--no-mirror", help="Whether pictures mean the same mirrored; photographs do unless given."),
]
Normalised = Annotated[
    Normalise,
    typer.Option(
        help="How the network normalises each picture: stretch its range to 0 to 255, or standardise it to mean 0 and "
        "deviation 1."
    ),
]
SplitSeed = Annotated[
    int, typer.Option(min=0, max=options.MOST_SEED, help="Decides which of your pictures are held back and tested on.")
]
StartFrom = Annotated[str | None, typer.Option("--from", help="A model of the repository to start from.")]
Freeze = Annotated[str | None, typer.Option(help="With --from: all, or the last layer that is not trained further.")]
DataNote = Annotated[str, typer.Option(help="What a reader of the accuracy must know of the data.")]


def train(
    name: Name,
    data: options.OwnData = None,
    download: options.Download = False,
    epochs: Epochs = None,
    patience: Patience = None,
    seed: Seed = 0,
    out: Out = None,
    data_note: DataNote = "",
    recipe: RecipeName = None,
    size: Size = None,
    width: Width = None,
    depth: Depth = None,
    resize: Resize = None,
    mirror: Mirror = None,
    normalise: Normalised = "none",
    split_seed: SplitSeed = 0,
    skip_broken: options.SkipBroken = False,
    start: StartFrom = None,
    freeze: Freeze = None,
    repository: options.Repository = None,
    json: options.Json = False,
) -> None:
    """Train a network; a run that was killed resumes from its last epoch and ends with the same weights.

    Example: scs train bolts --data photos    (photos/CLASS/*.jpg)
    Example: scs train cifar10-scs --data ~/data --epochs 16 --seed 0
    """
    try:
        from models.training import runs
        from models.training import train as training
        from service.cli.own_training import Asked, Prepared, prepare
    except ImportError as error:
        raise MissingPackageError(f"scs train needs {error.name}: pip install 'scs-serve[train]'") from None
    resizing: Mode | None = resize.value if resize else None
    asked = Asked(recipe, parse_size(size), width, depth, resizing, mirror, split_seed, skip_broken, start, freeze)
    if start is not None and normalise != "none":
        raise OptionError("--normalise is for a network that starts anew; one that --from names prepares its pictures")
    if name in RECIPES or data is None:
        prepared = Prepared(*_published(name, data, download, asked))
    else:
        prepared = prepare(name, data, asked, settings_for(repository))
    prepared = dataclasses.replace(prepared, recipe=_changed(prepared.recipe, epochs, patience, normalise))
    folder = out or Path("runs") / name / f"seed-{seed}"
    keep_freed_memory()
    if prepared.sentence():
        say(prepared.sentence(), error=True)
    with _epoch_bar(name, prepared.recipe.epochs) as show:
        training.train(prepared.recipe, prepared.dataset, folder, seed, data_note, show, prepared.build)
    _tell(runs.run_result(folder), folder, f"{name}, seed {seed}", json)


def _changed(recipe: Recipe, epochs: int | None, patience: int | None, normalise: Normalise) -> Recipe:
    """Return a recipe with what was asked for in place of its own."""
    return dataclasses.replace(
        recipe,
        epochs=recipe.epochs if epochs is None else epochs,
        patience=recipe.patience if patience is None else patience,
        normalise=normalise,
    )


def _tell(result: dict[str, Any], folder: Path, title: str, json: bool) -> None:
    """Draw the curves of a training that is finished, and print its result."""
    from models.training.curves import draw_curves
    from models.training.runs import LOG

    stopped = result["stopped"]
    draw_curves(folder / LOG, folder / "curves.png", title, stopped and stopped["best"])
    if json:
        say_json(json_format.dumps({"folder": str(folder), **result}, indent=2))
        return
    early = f"; stopped early, after epoch {stopped['after']}: epoch {stopped['best']} is kept" if stopped else ""
    say(f"{folder}: validation {result['validation_accuracy']:.2%}, test {result['test_accuracy']:.2%}{early}")


def _published(name: str, data: Path | None, download: bool, asked: Asked) -> tuple[Recipe, Dataset]:
    """Return the recipe of a model of a data set that is published, and the data set."""
    recipe = recipe_for(name)
    asked.refuse_for(name)
    if data is not None and not download and not (data / f"{recipe.dataset}.npz").is_file():
        raise DataError(
            f"{name} is trained on {recipe.dataset}.npz, which is not in {data} (--download fetches it); pictures of "
            "your own make a model with a name of your own"
        )
    return recipe, open_dataset(recipe.dataset, data, download)


@contextmanager
def _epoch_bar(name: str, epochs: int) -> Iterator[Callable[[Step], None]]:
    """Show a progress bar with loss and accuracy on stderr; yield the function that advances it by a step."""
    columns = (
        TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
        BarColumn(),
        TextColumn("loss {task.fields[loss]:.3f}  accuracy {task.fields[accuracy]:.1%}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=None, epoch=0, epochs=epochs, loss=0.0, accuracy=0.0)

        def show(step: Step) -> None:
            bar.update(
                task,
                total=epochs * step.batches,
                completed=(step.epoch - 1) * step.batches + step.batch,
                epoch=step.epoch,
                loss=step.loss,
                accuracy=step.accuracy,
            )

        yield show
