"""``scs visualize``."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated

import typer

from lab.commands import options
from lab.pictures import write_png
from models.cards import catalogue
from models.training.allocator import keep_freed_memory
from scs.errors import MissingPackageError
from scs.printable import printable


def visualize(
    model: Annotated[str, typer.Argument(help="A model of the repository.")],
    layer: Annotated[str, typer.Argument(help="One of its layers, as in stem or class_map.")],
    channel: Annotated[str, typer.Argument(help="A channel of the layer: its number from 0, or a class of class_map.")],
    out: Annotated[Path, typer.Option(help="Where the picture goes (.png).")],
    size: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Pixels on a side; as the model was trained unless given.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Of the ascent.")] = 256,
    seed: Annotated[
        int, typer.Option(min=0, max=options.MOST_SEED, help="Decides the start and the changes on the way.")
    ] = 0,
    unit: Annotated[bool, typer.Option("--unit", help="Ask the unit in the middle, not the channel's mean.")] = False,
    version: options.Version = None,
    repository: options.Repository = None,
    json: options.Json = False,
) -> None:
    """Draw what a channel of a network would like to see. Needs torch.

    Example: scs visualize cifar10-scs class_map deer --out deer.png
    """
    options.check_png(out)
    entry = catalogue.find(repository or catalogue.bundled_repository(), model, version)
    try:
        from lab.channels import visualize_channel
    except ImportError as error:
        raise MissingPackageError(f"scs visualize needs {error.name}: pip install 'scs-serve[train]'") from None
    keep_freed_memory()
    with options.progress("ascending") as step:
        drawn = visualize_channel(
            entry, layer, channel, size=size, steps=steps, seed=seed, unit=unit, on_step=lambda done: step(done, steps)
        )
    card, wish = drawn.card, drawn.wish
    write_png(wish.picture, out)
    if json:
        which = {"model": card.name, "version": card.version, "layer": layer, "channel": drawn.channel}
        answers = {"size": len(wish.picture), "before": wish.before, "after": wish.after, "out": str(out)}
        print(json_format.dumps({**which, **answers}, indent=2))
    else:
        what = f"{card.name} {card.version} {layer} {channel}"
        shown = f"{what}: the answer rose from {wish.before:.3g} to {wish.after:.3g}; written to {out}"
        print(printable(shown))
