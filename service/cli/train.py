"""``scs train``."""

from __future__ import annotations

import dataclasses
import json as json_format
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from models.training.allocator import keep_freed_memory
from models.training.recipes import recipe_for
from scs.errors import MissingPackageError
from service.cli import options
from service.cli.data import open_dataset


def train(
    name: Annotated[str, typer.Argument(help="What to train: a data set and a family, as in cifar10-scs.")],
    data: options.Data = None,
    download: options.Download = False,
    epochs: Annotated[int | None, typer.Option(min=1, help="The recipe's unless given.")] = None,
    seed: Annotated[
        int,
        typer.Option(
            min=0, max=options.MOST_SEED, help="Decides the first weights, the order of the images, their changes."
        ),
    ] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; runs/NAME/seed-SEED unless given.")] = None,
    data_note: Annotated[str, typer.Option(help="What a reader of the accuracy must know of the data.")] = "",
    json: options.Json = False,
) -> None:
    """Train a network; started again after a kill, it goes on from its last epoch and ends with the same weights.

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

    columns = (
        TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
        BarColumn(),
        TextColumn("loss {task.fields[loss]:.3f}  accuracy {task.fields[accuracy]:.1%}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=None, epoch=0, epochs=recipe.epochs, loss=0.0, accuracy=0.0)

        def show(step: training.Step) -> None:
            bar.update(
                task,
                total=recipe.epochs * step.batches,
                completed=(step.epoch - 1) * step.batches + step.batch,
                epoch=step.epoch,
                loss=step.loss,
                accuracy=step.accuracy,
            )

        training.train(recipe, dataset, folder, seed, data_note, show)
    draw_curves(folder / training.LOG, folder / "curves.png", title=f"{name}, seed {seed}")
    result = json_format.loads((folder / training.RESULT).read_text())
    if json:
        print(json_format.dumps({"folder": str(folder), **result}, indent=2))
    else:
        print(f"{folder}: validation {result['validation_accuracy']:.2%}, test {result['test_accuracy']:.2%}")
