"""``scs models``."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

from models import catalogue
from models.card import ModelCard
from scs.errors import ScsError
from service.client import Client
from service.commands import options
from service.commands.local import settings_for


def models(
    repository: options.Repository = None,
    url: options.Url = None,
    api_key: options.ApiKey = None,
    json: options.Json = False,
) -> None:
    """List the models, here or on a server.

    Example: scs models --url http://127.0.0.1:8000
    """
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
