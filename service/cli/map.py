"""The command ``scs map``: a task on any number of pictures."""

from __future__ import annotations

import sys
from enum import StrEnum
from itertools import islice
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from scs.cores import usable_cores
from scs.errors import OptionError
from service.api.activations import ActivationOptions
from service.api.files import shown_name
from service.api.match import MatchOptions
from service.api.predict import PredictOptions
from service.cli import activations as of_activations
from service.cli import match as of_match
from service.cli import options
from service.cli.files import read_file
from service.cli.local_models import settings_for
from service.cli.printing.plain import say, say_json
from service.cli.progress import image_bars
from service.map.packages import needed_for
from service.settings import Settings, read_settings, without_limits
from service.workers.pools import HAS_PROCESSES

if TYPE_CHECKING:
    from service.map.run import Run
    from service.map.task import Task

app = typer.Typer(
    help="Do a task on any number of pictures, on every core, and write Parquet; run it again to go on.\n\n"
    "Example: scs map predict photos --out answers",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class MapsForm(StrEnum):
    """The files that the maps of pictures are written to."""

    npz = "npz"
    zarr = "zarr"


Inputs = Annotated[
    list[str],
    typer.Argument(
        help="Pictures, folders, 'globs', .tar, .parquet, Zarr arrays, or - for a list of names on standard input.",
        metavar="INPUT…",
    ),
]
Out = Annotated[Path, typer.Option(help="Folder for the rows; that of the same run goes on with it.")]
Processes = Annotated[int | None, typer.Option(min=1, help="Processes that work; one for each core unless given.")]

Maps = Annotated[MapsForm, typer.Option(help="Files of the maps: npz, one a picture, or zarr, a group a picture.")]

Ray = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Work on a Ray cluster: auto, its address, or local for one of this machine."),
]
Level = Annotated[int, typer.Option(min=0, help="Of slides: which of their levels, 0 the largest.")]
Background = Annotated[
    int | None,
    typer.Option(min=0, help="Of slides: skip tiles whose values, in each channel, lie no further apart than this."),
]
Step = Annotated[
    int | None,
    typer.Option(min=1, help="Of slides: write maps of the scores, the best of step by step places; 1 writes all."),
]

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
    ray: Ray = None,
    json: options.Json = False,
) -> None:
    """Classify pictures.

    Example: scs map predict photos/ 'shards/*.tar' --out classes
    """
    wanted = options.checked(PredictOptions, model=model, version=version, top_k=top_k, resize=resize, partial=True)
    with needed_for("scs map"):
        from service.map.predict import PredictTask
    _map("predict", PredictTask.of(_settings(repository), wanted), Asked(inputs, out, processes, ray, json))


@app.command()
def activations(
    inputs: Inputs,
    out: Out,
    maps: Maps = MapsForm.npz,
    model: options.Model = None,
    version: options.Version = None,
    layers: of_activations.Layers = "all",
    channels: of_activations.Channels = "top4",
    class_name: of_activations.ClassName = None,
    method: of_activations.MethodName = None,
    class_layer: of_activations.ClassLayer = None,
    template: of_activations.Template = None,
    box: of_activations.Box = None,
    peaks: of_activations.Peaks = 5,
    resize: of_activations.Resize = None,
    level: Level = 0,
    background: Background = None,
    repository: options.Repository = None,
    processes: Processes = None,
    ray: Ray = None,
    json: options.Json = False,
) -> None:
    """Write what every layer of a network sees in pictures.

    Example: scs map activations photos/ --out seen --layers class_map --channels all --maps zarr
    """
    named = {"model": model, "version": version, "layers": layers, "channels": channels, "class": class_name}
    explained = {"method": method, "class_layer": class_layer, "box": box, "peaks": peaks, "resize": resize}
    wanted = options.checked(ActivationOptions, **named, **explained)
    with needed_for("scs map"):
        from service.map.activations import ActivationsTask
        from service.map.slides.activations import SlideActivations
        from service.map.slides.slide import are_slides
        from service.map.slides.task import Look
    settings = _settings(repository)
    sought = None if template is None else read_file(template)
    task: Task
    if are_slides(inputs, settings.max_pixels):
        task = SlideActivations.make(
            settings, wanted, sought, Look(out.absolute(), level, background, settings.max_pixels)
        )
    else:
        _check_for_pictures(level, background)
        task = ActivationsTask.of(settings, sought, wanted, out, maps.value)
    _map("activations", task, Asked(inputs, out, processes, ray, json))


@app.command()
def match(
    inputs: Inputs,
    out: Out,
    templates: Annotated[list[Path], typer.Option("--template", help="What to look for; once for each.")],
    mask: of_match.Masks = None,
    method: of_match.Method = "ccoeff_normed",
    p: of_match.Exponent = 2.0,
    q: of_match.NoiseFloor = 0.0,
    angles: of_match.Angles = None,
    scales: of_match.Scales = None,
    top: of_match.Top = 5,
    threshold: of_match.Threshold = None,
    overlap: of_match.Overlap = 0.3,
    polarity: of_match.Polarity = "same",
    border: of_match.Border = "whole",
    region: of_match.Region = None,
    model: of_match.NetworkName = None,
    version: options.Version = None,
    layer: of_match.Layer = None,
    level: Level = 0,
    background: Background = None,
    step: Step = None,
    repository: options.Repository = None,
    processes: Processes = None,
    ray: Ray = None,
    json: options.Json = False,
) -> None:
    """Find templates in pictures; a picture without them is no failure.

    Example: scs map match photos/ --template part.png --out found
    """
    found = {"method": method, "p": p, "q": q, "angles": angles, "scales": scales, "region": region, "border": border}
    kept = {"top": top, "threshold": threshold, "overlap": overlap, "polarity": polarity}
    network = {"model": model, "version": version, "layer": layer}
    wanted = options.checked(MatchOptions, **found, **kept, **network)
    with needed_for("scs map"):
        from service.map.match import MatchTask
        from service.map.slides.match import SlideMatch
        from service.map.slides.slide import are_slides
        from service.map.slides.task import Look
    settings = _settings(repository)
    files = [read_file(path) for path in templates], [read_file(path) for path in mask or []]
    look = Look(out.absolute(), level, background, settings.max_pixels)
    search = MatchTask.of(without_limits(settings), *files, wanted)
    task: Task = search
    if are_slides(inputs, settings.max_pixels):
        task = SlideMatch(search, look, step)
    else:
        _check_for_pictures(level, background)
    _map("match", task, Asked(inputs, out, processes, ray, json))


class Asked(NamedTuple):
    """Which pictures, where to, on what, and how it is told."""

    inputs: list[str]
    out: Path
    processes: int | None
    ray: str | None
    json: bool


def _map(kind: str, task: Task, wanted: Asked) -> None:
    """Do a task on pictures, show how far it is, and say what came of it."""
    from service.map.mapping import map_pictures
    from service.map.processes import map_here
    from service.map.ray_data import map_on_ray

    settings = read_settings()
    processes = (wanted.processes or usable_cores()) if HAS_PROCESSES else 1
    with image_bars() as bar:

        def do(task: Task, run: Run) -> None:
            shown = bar(kind, run.pictures)
            if wanted.ray is None:
                map_here(task, run, processes, settings.max_memory_bytes // processes, shown)
            else:
                map_on_ray(task, run, wanted.ray, shown)

        run = map_pictures(kind, task, wanted.inputs, wanted.out, do, sys.stdin.buffer, processes)
    _say(run, wanted)


def _check_for_pictures(level: int, background: int | None) -> None:
    """Refuse options of slides where there are none.

    Raises:
        OptionError: one is given.
    """
    if level or background is not None:
        raise OptionError("--level and --background are for slides; pictures came")


def _say(run: Run, wanted: Asked) -> None:
    """Say how many pictures failed, and which; the exit status is 1 if any did."""
    rows, failed = run.counts()
    for name, why in islice(run.failures(), _SHOWN):
        say(f"scs: {name}: {why}", error=True)
    if failed > _SHOWN:
        say(f"scs: and {failed - _SHOWN} more; the rows have them, in the column error", error=True)
    if wanted.json:
        say_json(dumps({"rows": rows, "failed": failed, "out": shown_name(str(wanted.out))}, indent=2))
    else:
        folder = shown_name(str(wanted.out / run.rows_folder.name))
        say(f"{rows - failed} of {rows} done, {failed} failed; rows in {folder}")
    if failed:
        raise typer.Exit(1)


def _settings(repository: Path | None) -> Settings:
    """Return the settings, without the key, which other machines have no use for."""
    return settings_for(repository).model_copy(update={"api_key": None})
