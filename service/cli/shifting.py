"""What ``scs evaluate --shifts`` finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from models.cards.card import CARD_FILE, ModelCard, write_card
from models.cards.catalogue import Entry
from models.datasets.dataset import Dataset, evenly
from models.evaluation.equivariance import MOST_IMAGES, Equivariance, Followed, equivariance_error
from service.cli.findings import Finding, Progressing
from service.repository.loader import LoadedModel

SHIFTS = (1, 2, 4, 8)  # pixels; the first is the card's


def find_shifted(model: LoadedModel, dataset: Dataset, progressing: Progressing, entry: Entry | None) -> Finding:
    """Shift test images; with an entry, its card is given what was found for one pixel."""
    images = evenly(dataset.test_images, MOST_IMAGES)
    found = equivariance_error(model.runtime, model.card, images, SHIFTS, progressing("shifted", len(images)))
    if entry:
        card = model.card.model_copy(update={"equivariance": found[0].card(dataset.name)})
        write_card(card, entry.folder / CARD_FILE)
    return Finding({"shifts": [asdict(each) for each in found]}, lambda: _print(model.card, found))


def _print(card: ModelCard, found: list[Equivariance]) -> None:
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
