"""The command ``scs train``."""

from __future__ import annotations

import dataclasses
import json as json_format
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from models.training.allocator import keep_freed_memory
from models.training.recipes import recipe_for
from scs.errors import MissingPackageError
from service.cli import options
from service.cli.dataset import open_dataset
from service.cli.printing.plain import say, say_json

if TYPE_CHECKING:
    from models.training.train import Step

Name = Annotated[str, typer.Argument(help="What to train: a data set and a family, as in cifar10-scs.")]
Epochs = Annotated[int | None, typer.Option(min=1, help="The recipe's unless given.")]
Seed = Annotated[
    int,
    typer.Option(
        min=0, max=options.MOST_SEED, help="Decides the first weights, the order of the images, their changes."
    ),
]
Out = Annotated[Path | None, typer.Option(help="Folder of the run; runs/NAME/seed-SEED unless given.")]
DataNote = Annotated[str, typer.Option(help="What a reader of the accuracy must know of the data.")]


def train(
    name: Name,
    data: options.Data = None,
    download: options.Download = False,
    epochs: Epochs = None,
    seed: Seed = 0,
    out: Out = None,
    data_note: DataNote = "",
    json: options.Json = False,
) -> None:
    """Train a network; a run that was killed resumes from its last epoch and ends with the same weights.

    Example: scs train cifar10-scs --data ~/data --epochs 16 --seed 0
    """
    recipe = recipe_for(name)
    if epochs is not None:
        recipe = dataclasses.replace(recipe, epochs=epochs)
    try:
        from models.training import train as training
        from models.training.curves import draw_curves
    except ImportError as error:
        raise MissingPackageError(f"scs train needs {error.name}: pip install 'scs-serve[train]'") from None
    dataset = open_dataset(recipe.dataset, data, download)
    keep_freed_memory()
    folder = out or Path("runs") / name / f"seed-{seed}"
    with _epoch_bar(name, recipe.epochs) as show:
        training.train(recipe, dataset, folder, seed, data_note, show)
    draw_curves(folder / training.LOG, folder / "curves.png", title=f"{name}, seed {seed}")
    result = json_format.loads((folder / training.RESULT).read_text())
    if json:
        say_json(json_format.dumps({"folder": str(folder), **result}, indent=2))
    else:
        say(f"{folder}: validation {result['validation_accuracy']:.2%}, test {result['test_accuracy']:.2%}")


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
