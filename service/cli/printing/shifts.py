"""The equivariance error of a model's layers under shifts, as figures and as a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from models.cards.card import ModelCard
from models.evaluation.equivariance import Equivariance, Followed
from service.cli.printing.plain import PlainTable


def shift_figures(found: list[Equivariance]) -> dict[str, object]:
    """Return all figures of the shifts by name, for JSON."""
    return {"shifts": [asdict(each) for each in found]}


def print_shifts(card: ModelCard, found: list[Equivariance]) -> None:
    """Print the equivariance error, with a row for each layer and a column for each shift."""
    print(f"\nequivariance error, {found[0].images:,} images, by pixels of shift; in brackets without borders")
    table = PlainTable("", "stride", *(str(each.shift) for each in found), box=None, padding=(0, 2, 0, 0))
    for layer in card.layers:
        shown = [_pair(each, lambda followed, name=layer.name: f"{followed.layers[name]:.3f}") for each in found]  # type: ignore[misc]
        table.add_row(layer.name, str(layer.receptive_field.stride), *shown)
    table.add_row("logits", "", *(_pair(each, lambda followed: f"{followed.logits:.3f}") for each in found))
    table.add_row("class kept", "", *(_pair(each, lambda followed: f"{followed.class_kept:.3f}") for each in found))
    table.show()


def _pair(found: Equivariance, shown: Callable[[Followed], str]) -> str:
    return f"{shown(found.as_served)} ({shown(found.without_borders)})"
