"""``scs visualize``."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from models.cards import catalogue
from models.cards.card import LayerCard, ModelCard
from models.training.allocator import keep_freed_memory
from scs.errors import MissingPackageError, ModelError, OptionError, UnknownNameError
from service.cli import options
from service.cli.local_models import settings_for
from service.pictures.colour_maps import to_png
from service.pictures.picture import to_image


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
    if out.suffix.lower() != ".png":
        raise OptionError(f"--out is a .png file; '{out.name}' came")
    entry = catalogue.find(settings_for(repository).model_repository, model, version)
    card = entry.card()
    if card.format != "onnx":
        raise ModelError(f"scs visualize needs a model that is ONNX; {card.name} is {card.format}")
    shown = _layer(card, layer)
    number = _channel(card, shown, channel)
    pixels = size or max(card.input.width, card.input.height)
    least = max(card.input.smallest_size)
    if pixels < least:
        raise OptionError(f"--size is at least {least} for {card.name}; {pixels} came")
    try:
        from lab.feature_visualization import visualize as ascend
        from models.onnx.as_torch import TorchGraph
    except ImportError as error:
        raise MissingPackageError(f"scs visualize needs {error.name}: pip install 'scs-serve[train]'") from None
    keep_freed_memory()
    graph = TorchGraph(entry.verified_bytes(card))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("ascending", total=steps)
        (wish,) = ascend(
            graph,
            shown.tensor,
            [number],
            size=pixels,
            channels=card.input.channels,
            steps=steps,
            seed=seed,
            unit=unit,
            on_step=lambda done: bar.update(task, completed=done),
        )
    out.write_bytes(to_png(to_image(wish.picture)))
    if json:
        found = {"model": card.name, "version": card.version, "layer": layer, "channel": number, "size": pixels}
        print(json_format.dumps({**found, "before": wish.before, "after": wish.after, "out": str(out)}, indent=2))
    else:
        what = f"{card.name} {card.version} {layer} {channel}"
        print(f"{what}: the answer rose from {wish.before:.3g} to {wish.after:.3g}; written to {out}")


def _layer(card: ModelCard, name: str) -> LayerCard:
    for layer in card.layers:
        if layer.name == name:
            return layer
    known = ", ".join(layer.name for layer in card.layers)
    raise UnknownNameError(f"no layer '{name[:60]}' in {card.name}; there are: {known}")


def _channel(card: ModelCard, layer: LayerCard, wanted: str) -> int:
    labels = layer.labels or (card.labels if layer.name == card.class_map else [])
    if wanted in labels:
        return labels.index(wanted)
    if wanted.isdecimal() and int(wanted) < layer.channels:
        return int(wanted)
    known = f" or one of {', '.join(labels[:10])}" if labels else ""
    raise UnknownNameError(f"a channel of {layer.name} is 0 to {layer.channels - 1}{known}; '{wanted[:60]}' came")
