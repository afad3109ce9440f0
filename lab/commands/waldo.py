"""``scs waldo``."""

from __future__ import annotations

import json as json_format
import re
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from models.training.allocator import keep_freed_memory
from scs.errors import MissingPackageError, OptionError
from service.cli import options
from service.pictures.decode import decode_image
from service.settings import read_settings

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
    if out and out.suffix.lower() != ".png":
        raise OptionError(f"--out is a .png file; '{out.name}' came")
    if box and not (scene and re.fullmatch(r"\d+(,\d+){3}", box)):
        raise OptionError(f"--box is x,y,width,height in a scene that is given; '{box}' came")
    import cv2  # here, as the service starts without it

    try:
        from lab.crowds import HEIGHT, draw_crowd
        from lab.detector import FIELD
        from lab.drawing import save
        from lab.topics.waldo import Wanted, draw_answers, seek
    except ImportError as error:
        raise MissingPackageError(f"scs waldo needs {error.name}: pip install 'scs-serve[train]'") from None
    keep_freed_memory()
    if scene:
        whole = decode_image(scene.read_bytes(), channels=3, max_pixels=read_settings().max_pixels).pixels
    else:
        whole = draw_crowd(seed).pixels
    at = _inside(box, whole) if box else None
    # Scenes are searched where he is as large as a detector sees.
    factor = FIELD / max(at[2:]) if at else HEIGHT / tall
    pixels = np.asarray(cv2.resize(whole, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
    if min(pixels.shape[:2]) < 2 * FIELD:
        raise OptionError(f"the scene is {whole.shape[1]}x{whole.shape[0]}, too small for somebody of that size in it")
    small = (at[0] * factor, at[1] * factor, at[2] * factor, at[3] * factor) if at else None
    wanted = Wanted.cut(pixels, small) if small else Wanted.drawn()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("learning")
        found = seek(
            wanted,
            pixels,
            steps=steps,
            seed=seed,
            on_step=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if out:
        save(draw_answers(pixels, found, small), out)
    places = {
        name: [
            {"x": place.x / factor, "y": place.y / factor, "score": place.score} for place in answer.places()[:_PLACES]
        ]
        for name, answer in found.items()
    }
    if json:
        side = FIELD / factor
        print(json_format.dumps({"width": side, "height": side, "places": places}, indent=2))
        return
    table = Table("way", "x", "y", "score", "next", box=None, padding=(0, 2, 0, 0))
    for name, (best, *others) in places.items():
        following = f"{others[0]['score']:.3g}" if others else ""
        table.add_row(name, f"{best['x']:.0f}", f"{best['y']:.0f}", f"{best['score']:.3g}", following)
    Console().print(table)


def _inside(box: str, scene: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    x, y, width, height = (int(number) for number in box.split(","))
    if min(width, height) < 8 or y + height > scene.shape[0] or x + width > scene.shape[1]:
        size = f"{scene.shape[1]}x{scene.shape[0]}"
        raise OptionError(f"--box is at least 8x8 and inside the scene, {size} here; {box} came")
    return x, y, width, height
