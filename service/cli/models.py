"""``scs models``."""

from __future__ import annotations

import json as json_format
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from models.cards import catalogue
from models.cards.card import ModelCard
from models.cards.dense_twin import TwinLayer, dense_twin
from scs.errors import ModelError, ScsError
from service.cli import options
from service.cli.local import settings_for
from service.client.client import Client

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
            print(listed.model_dump_json(indent=2))
            return
        table = Table("model", "version", "state")
        for model in listed.models:
            table.add_row(
                model.name, str(model.version), f"on {model.device}" if model.available else str(model.reason)
            )
        Console().print(table)
        return
    cards = []
    for entry in catalogue.entries(settings_for(repository).model_repository):
        try:
            cards.append(entry.card())
        except ScsError as error:  # one bad card does not hide the others
            print(f"scs: {entry.name} {entry.version}: {error}", file=sys.stderr)
    if json:
        print("[" + ", ".join(card.model_dump_json() for card in cards) + "]")
    else:
        _print(cards)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A model of the repository.")],
    version: options.Version = None,
    repository: options.Repository = None,
    url: options.Url = None,
    api_key: options.ApiKey = None,
    json: options.Json = False,
) -> None:
    """Show a network's layers, what dense layers would take in their place, and how far they follow a shift.

    Example: scs models show cifar10-scs
    """
    if url:
        detail = Client(url, api_key).model(name, version)
        if detail.card is None:
            raise ModelError(f"{name} needs a card that can be read; {detail.reason or 'there is none'}")
        card = detail.card
    else:
        card = catalogue.find(settings_for(repository).model_repository, name, version).card()
    twin = dense_twin(card)
    dense = sum(layer.parameters for layer in twin)
    if json:
        layers = [{"name": layer.name, "maps": layer.maps, "dense_parameters": layer.parameters} for layer in twin]
        shown = {"card": card.model_dump(mode="json"), "layers": layers, "dense_parameters": dense}
        print(json_format.dumps(shown, indent=2))
    else:
        _print_twin(card, twin, dense)


def _print_twin(card: ModelCard, twin: list[TwinLayer], dense: int) -> None:
    print(f"{card.name} {card.version}: {card.description}")
    table = Table("layer", "maps", "a unit sees", "parameters if dense", "error at 1 px")
    for number in (1, 2, 3, 4):
        table.columns[number].justify = "right"
    errors = card.equivariance.as_served.layers if card.equivariance else {}
    for layer, made in zip(card.layers, twin, strict=True):
        height, width, channels = made.maps
        field = layer.receptive_field
        table.add_row(
            layer.name,
            f"{width}x{height}x{channels}",
            f"{field.across}x{field.size}",
            f"{made.parameters:,}",
            f"{errors[layer.name]:.3f}" if layer.name in errors else "",
        )
    Console().print(table)
    print(
        f"{card.parameters:,} parameters; the same maps by dense layers, at {card.input.width}x{card.input.height} "
        f"alone: {dense:,}, {dense / card.parameters:,.0f} times as many"
    )
    if card.equivariance:
        kept = card.equivariance.as_served.class_kept
        print(f"shifted by a pixel, {kept:.1%} of the pictures stay in their class")


def _print(cards: list[ModelCard]) -> None:
    table = Table("model", "version", "parameters", "accuracy", "95% interval", "measured on")
    for card in cards:
        measured = card.accuracy
        figures = (
            ("", "", "")
            if measured is None
            else (
                f"{measured.accuracy:.2%}",
                f"{measured.low:.2%} to {measured.high:.2%}",
                f"{measured.dataset}{' (see card)' if measured.note else ''}",
            )
        )
        table.add_row(card.name, str(card.version), f"{card.parameters:,}", *figures)
    Console().print(table)
