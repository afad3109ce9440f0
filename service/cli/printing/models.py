"""The tables of ``scs models``."""

from __future__ import annotations

from models.cards.card import ModelCard
from models.cards.dense_twin import TwinLayer
from service.api.models import ModelList
from service.cli.printing.plain import PlainTable, say


def print_cards(cards: list[ModelCard]) -> None:
    """Print a row for each model of a repository, with its accuracy."""
    table = PlainTable("model", "version", "parameters", "accuracy", "95% interval", "measured on")
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
    table.show()


def print_served(listed: ModelList) -> None:
    """Print a row for each model of a server: the device that it runs on, or why it is not available."""
    table = PlainTable("model", "version", "state")
    for model in listed.models:
        table.add_row(model.name, str(model.version), f"on {model.device}" if model.available else str(model.reason))
    table.show()


def print_twin(card: ModelCard, twin: list[TwinLayer], dense: int) -> None:
    """Print each layer beside the dense layer that gives the same maps; ``dense`` is the sum of their parameters."""
    say(f"{card.name} {card.version}: {card.description}")
    table = PlainTable("layer", "maps", "a unit sees", "parameters if dense", "error at 1 px")
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
    table.show()
    print(
        f"{card.parameters:,} parameters; the same maps by dense layers, at {card.input.width}x{card.input.height} "
        f"alone: {dense:,}, {dense / card.parameters:,.0f} times as many"
    )
    if card.equivariance:
        kept = card.equivariance.as_served.class_kept
        print(f"shifted by a pixel, {kept:.1%} of the pictures stay in their class")
