"""What ``scs evaluate`` says of shifted images, for people and for programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from models.card import ModelCard
from models.equivariance import Equivariance, Followed

SHIFTS = (1, 2, 4, 8)  # pixels; the first is the card's


def shifted_figures(found: list[Equivariance]) -> dict[str, object]:
    """Errors of each layer by shift, for programs."""
    return {"shifts": [asdict(each) for each in found]}


def print_shifted(card: ModelCard, found: list[Equivariance]) -> None:
    """Errors of each layer by shift, and what of them is left without borders."""
    print(f"\nequivariance error, {found[0].images:,} images, by pixels of shift; in brackets without borders")
    table = Table("", "stride", *(str(each.shift) for each in found), box=None, padding=(0, 2, 0, 0))
    for layer in card.layers:
        shown = [_pair(each, lambda followed, name=layer.name: f"{followed.layers[name]:.3f}") for each in found]  # type: ignore[misc]
        table.add_row(layer.name, str(layer.receptive_field.stride), *shown)
    table.add_row("logits", "", *(_pair(each, lambda followed: f"{followed.logits:.3f}") for each in found))
    table.add_row("class kept", "", *(_pair(each, lambda followed: f"{followed.class_kept:.3f}") for each in found))
    Console().print(table)


def _pair(found: Equivariance, shown: Callable[[Followed], str]) -> str:
    return f"{shown(found.as_served)} ({shown(found.without_borders)})"
