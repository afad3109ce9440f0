"""The command ``scs models``."""

from __future__ import annotations

import json as json_format
import sys
from pathlib import Path
from typing import Annotated

import typer

from models.cards import catalogue
from models.cards.card import ModelCard
from models.cards.dense_twin import dense_twin
from scs.errors import ModelError, ScsError
from service.cli import options
from service.cli.local_models import settings_for
from service.cli.printing.models import print_cards, print_served, print_twin
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
        else:
            print_served(listed)
        return
    cards = _readable_cards(settings_for(repository).model_repository)
    if json:
        print("[" + ", ".join(card.model_dump_json() for card in cards) + "]")
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
    """Show a network's layers, the parameters of equivalent dense layers, and the equivariance error of a shift.

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
        print_twin(card, twin, dense)


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
            print(f"scs: {entry.name} {entry.version}: {error}", file=sys.stderr)
    return cards
