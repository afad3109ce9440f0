"""The tables of ``scs models``."""

from __future__ import annotations

from models.cards.card import ModelCard
from models.cards.dense_twin import TwinLayer
from models.runtime.layer_costs import LayerCost
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


def print_layers(card: ModelCard, twin: list[TwinLayer], costs: list[LayerCost] | None) -> None:
    """Print each layer with its parameters and time, where these were measured, beside its dense twin."""
    say(f"{card.name} {card.version}: {card.description}")
    table = PlainTable("layer", "maps", "sees", "stride", "parameters", "ms", "if dense", "error")
    for column in table.columns[1:]:
        column.justify = "right"
    errors = card.equivariance.as_served.layers if card.equivariance else {}
    measured = [("", "")] * len(twin) if costs is None else [_cost(each) for each in costs]
    for layer, made, cost in zip(card.layers, twin, measured, strict=False):
        height, width, channels = made.maps
        field = layer.receptive_field
        error = f"{errors[layer.name]:.3f}" if layer.name in errors else ""
        sees = f"{field.across}x{field.size}", str(field.stride)
        table.add_row(layer.name, f"{width}x{height}x{channels}", *sees, *cost, _in_millions(made.parameters), error)
    if costs is not None:
        table.add_row("the rest", "x".join(map(str, costs[-1].shape)), "", "", *measured[-1], "", "")
    table.show()
    dense = sum(layer.parameters for layer in twin)
    size = f"{card.input.width}x{card.input.height}"
    print(
        f"{card.parameters:,} parameters; the same maps by dense layers, at {size} alone: {dense:,}, "
        f"{dense / card.parameters:,.0f} times as many"
    )
    if costs is not None:
        total = sum(each.milliseconds for each in costs)
        print(f"{total:.3g} ms for a picture of {size} on the CPU, each layer with what leads to it from the last")
    if card.equivariance:
        kept = card.equivariance.as_served.class_kept
        print(f"shifted by a pixel, {kept:.1%} of the pictures stay in their class, and layers have the error above")


def _cost(layer: LayerCost) -> tuple[str, str]:
    return f"{layer.parameters:,}", f"{layer.milliseconds:.2f}"


def _in_millions(count: int) -> str:
    return f"{count / 1e6:,.{0 if count >= 1e8 else 2}f} M"
