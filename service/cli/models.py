"""The command ``scs models``."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated

import typer

from models.cards import catalogue
from models.cards.card import ModelCard
from models.cards.dense_twin import TwinLayer, dense_twin
from models.runtime.layer_costs import LayerCost, layer_costs
from scs.errors import ModelError, ScsError
from scs.parameters import Shape
from service.cli import options
from service.cli.local_models import settings_for
from service.cli.printing.models import print_cards, print_layers, print_served
from service.cli.printing.plain import say, say_json
from service.client import Client

app = typer.Typer(invoke_without_command=True, add_completion=False)


@app.callback()
def models(
    context: typer.Context,
    repository: options.Repository = None,
    url: options.Url = None,
    api_key: options.ApiKey = None,
    json: options.Json = False,
) -> None:
    """List the models, here or on a server.

    Example: scs models --url http://127.0.0.1:8000
    """
    if context.invoked_subcommand:
        return
    if url:
        listed = Client(url, api_key).models()
        if json:
            say_json(listed.model_dump_json(indent=2))
        else:
            print_served(listed)
        return
    cards = _readable_cards(settings_for(repository).model_repository)
    if json:
        say_json("[" + ", ".join(card.model_dump_json() for card in cards) + "]")
    else:
        print_cards(cards)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A model of the repository.")],
    version: options.Version = None,
    repository: options.Repository = None,
    url: options.Url = None,
    api_key: options.ApiKey = None,
    json: options.Json = False,
) -> None:
    """Show a network's layers: the shapes of their maps, receptive fields, parameters, and the time of each here.

    Beside them are the parameters of equivalent dense layers, and the equivariance error of a shift.

    Example: scs models show cifar10-scs
    """
    if url:
        detail = Client(url, api_key).model(name, version)
        if detail.card is None:
            raise ModelError(f"{name} needs a card that can be read; {detail.reason or 'there is none'}")
        card, costs = detail.card, None
    else:
        entry = catalogue.find(settings_for(repository).model_repository, name, version)
        card = entry.card()
        # What is TorchScript has no graph that could be taken apart.
        costs = layer_costs(entry.verified_bytes(card), card) if card.format == "onnx" else None
    twin = dense_twin(card, None if costs is None else _map_shapes(costs))
    if json:
        say_json(json_format.dumps(_shown(card, twin, costs), indent=2))
    else:
        print_layers(card, twin, costs)


def _map_shapes(costs: list[LayerCost]) -> dict[str, Shape]:
    """Height, width and channels of each layer's maps; a layer of tokens or numbers counts as a row of them."""
    shapes = {}
    for layer in costs[:-1]:
        channels, *sides = layer.shape
        height, width = (1, *sides)[-2:] if sides else (1, 1)
        shapes[layer.name] = height, width, channels
    return shapes


def _shown(card: ModelCard, twin: list[TwinLayer], costs: list[LayerCost] | None) -> dict[str, object]:
    """What is printed for programs; parameters and times are there where they were measured."""
    layers: list[dict[str, object]] = [
        {"name": layer.name, "maps": layer.maps, "dense_parameters": layer.parameters} for layer in twin
    ]
    shown: dict[str, object] = {"card": card.model_dump(mode="json"), "layers": layers}
    shown["dense_parameters"] = sum(layer.parameters for layer in twin)
    if costs is not None:
        measured = [{"parameters": each.parameters, "milliseconds": round(each.milliseconds, 4)} for each in costs]
        for layer, field, cost in zip(layers, card.layers, measured, strict=False):
            layer |= {"receptive_field": field.receptive_field.model_dump(mode="json"), **cost}
        shown["head"] = measured[-1]
    return shown


@app.command()
def schema() -> None:
    """Print the JSON schema of a model's card; docs/cards.md says what its fields mean.

    Example: scs models schema > card.schema.json
    """
    print(json_format.dumps(ModelCard.model_json_schema(), indent=2))


def _readable_cards(repository: Path) -> list[ModelCard]:
    """Read all cards that can be read, and report the others on stderr."""
    cards = []
    for entry in catalogue.entries(repository):
        try:
            cards.append(entry.card())
        except ScsError as error:
            say(f"scs: {entry.name} {entry.version}: {error}", error=True)
    return cards
