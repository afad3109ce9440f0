"""The command ``scs map``: a task on any number of pictures."""

from __future__ import annotations

import sys
from itertools import islice
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from scs.cores import usable_cores
from service.api.files import shown_name
from service.api.predict import PredictOptions
from service.cli import options
from service.cli.local_models import settings_for
from service.cli.printing.plain import say, say_json
from service.cli.progress import image_bars
from service.map.packages import needed_for
from service.settings import Settings, read_settings
from service.workers.pools import HAS_PROCESSES

if TYPE_CHECKING:
    from service.map.run import Run as MapRun
    from service.map.task import Task

app = typer.Typer(
    help="Do a task on any number of pictures, on every core, and write Parquet; run it again to go on.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Inputs = Annotated[
    list[str],
    typer.Argument(
        help="Pictures, folders, 'globs', .tar, .parquet, Zarr arrays, or - for a list of names on standard input.",
        metavar="INPUT…",
    ),
]
Out = Annotated[Path, typer.Option(help="Folder for the rows; that of the same run goes on with it.")]
Processes = Annotated[int | None, typer.Option(min=1, help="Processes that work; one for each core unless given.")]

_SHOWN = 10  # failures


@app.command()
def predict(
    inputs: Inputs,
    out: Out,
    model: options.Model = None,
    version: options.Version = None,
    top_k: Annotated[int, typer.Option(min=1, help="Classes to name.")] = 5,
    resize: Annotated[str, typer.Option(help="card, none, or pixels of the longer side.")] = "card",
    repository: options.Repository = None,
    processes: Processes = None,
    json: options.Json = False,
) -> None:
    """Classify pictures.

    Example: scs map predict photos/ 'shards/*.tar' --out classes
    """
    wanted = options.checked(PredictOptions, model=model, version=version, top_k=top_k, resize=resize, partial=True)
    with needed_for("scs map"):
        from service.map.predict import PredictTask
    _map("predict", PredictTask.of(_settings(repository), wanted), Run(inputs, out, processes, json))


class Run(NamedTuple):
    """Which pictures, where to, on how many processes, and how it is told."""

    inputs: list[str]
    out: Path
    processes: int | None
    json: bool


def _map(kind: str, task: Task, wanted: Run) -> None:
    """Do a task on pictures, show how far it is, and say what came of it."""
    from service.map.mapping import map_pictures
    from service.map.processes import map_here

    settings = read_settings()
    processes = (wanted.processes or usable_cores()) if HAS_PROCESSES else 1
    with image_bars() as bar:

        def do(task: Task, run: MapRun) -> None:
            map_here(task, run, processes, settings.max_memory_bytes // processes, bar(kind, run.pictures))

        run = map_pictures(kind, task, wanted.inputs, wanted.out, do, sys.stdin.buffer, processes)
    _say(run, wanted.json)


def _say(run: MapRun, json: bool) -> None:
    """Say how many pictures failed, and which; the exit status is 1 if any did."""
    rows, failed = run.counts()
    for name, why in islice(run.failures(), _SHOWN):
        say(f"scs: {name}: {why}", error=True)
    if failed > _SHOWN:
        say(f"scs: and {failed - _SHOWN} more; the rows have them, in the column error", error=True)
    if json:
        say_json(dumps({"rows": rows, "failed": failed, "out": shown_name(str(run.folder))}, indent=2))
    else:
        say(f"{rows - failed} of {rows} done, {failed} failed; rows in {shown_name(str(run.rows_folder))}")
    if failed:
        raise typer.Exit(1)


def _settings(repository: Path | None) -> Settings:
    """Return the settings, without the key, which other machines have no use for."""
    return settings_for(repository).model_copy(update={"api_key": None})
