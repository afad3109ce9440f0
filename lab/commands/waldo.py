"""``scs waldo``."""

from __future__ import annotations

import json as json_format
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from lab.commands import options
from lab.pictures import read_picture
from models.training.allocator import keep_freed_memory
from scs.errors import MissingPackageError, OptionError

if TYPE_CHECKING:  # it needs torch and matplotlib
    from lab.waldo import Box, Search

_PLACES = 5  # that are named, of each way


def waldo(
    scene: Annotated[Path | None, typer.Argument(help="A picture of a crowd; one is drawn unless given.")] = None,
    box: Annotated[str | None, typer.Option(help="x,y,width,height: who Waldo is in it.")] = None,
    tall: Annotated[
        int, typer.Option(min=8, help="Pixels of a figure from hat to feet in the scene, where there is no box.")
    ] = 48,
    steps: Annotated[int, typer.Option(min=1, help="Of learning, in each of three rounds.")] = 80,
    seed: Annotated[
        int,
        typer.Option(min=0, max=options.MOST_SEED, help="Decides the crowd, where one is drawn, and the learning."),
    ] = 0,
    out: Annotated[Path | None, typer.Option(help="Draw the scene with the maps of all ways (.png).")] = None,
    json: options.Json = False,
) -> None:
    """Look for Waldo in a crowd, by a template and by a detector that is learned here. Needs torch.

    With --box the template is what is in it, and the rest of the picture is what he is not. Without, both are of the
    Waldo of drawn crowds.

    Example: scs waldo crowd.jpg --box 700,170,120,180 --out waldo.png
    """
    if out:
        options.check_png(out)
    who = _box(box, scene)
    try:
        from lab.drawing import save
        from lab.waldo import search
    except ImportError as error:
        raise MissingPackageError(f"scs waldo needs {error.name}: pip install 'scs-serve[train]'") from None
    keep_freed_memory()
    with options.progress("learning") as on_step:
        pixels = read_picture(scene) if scene else None
        done = search(pixels, who, tall=tall, steps=steps, seed=seed, on_step=on_step)
    if out:
        save(done.draw(), out)
    (_print_json if json else _print)(done)


def _box(box: str | None, scene: Path | None) -> Box | None:
    if not box:
        return None
    if not scene or not re.fullmatch(r"\d+(,\d+){3}", box):
        raise OptionError(f"--box is x,y,width,height in a scene that is given; '{box}' came")
    x, y, width, height = map(int, box.split(","))
    return x, y, width, height


def _print_json(done: Search) -> None:
    places = {name: [vars(place) for place in best] for name, best in done.places(_PLACES).items()}
    print(json_format.dumps({"width": done.side, "height": done.side, "places": places}, indent=2))


def _print(done: Search) -> None:
    table = Table("way", "x", "y", "score", "next", box=None, padding=(0, 2, 0, 0))
    for name, (best, *others) in done.places(_PLACES).items():
        following = f"{others[0].score:.3g}" if others else ""
        table.add_row(name, f"{best.x:.0f}", f"{best.y:.0f}", f"{best.score:.3g}", following)
    Console().print(table)
