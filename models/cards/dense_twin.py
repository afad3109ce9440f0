"""What a network would cost if each of its layers were dense: its card has all that this takes."""

from __future__ import annotations

from dataclasses import dataclass

from models.cards.card import LayerCard, ModelCard
from scs.parameters import Shape, dense


@dataclass(frozen=True)
class TwinLayer:
    """A layer of the same maps, each number of which sees every number of the maps before it.

    Attributes:
        name: of the layer on the card.
        maps: ``(height, width, channels)`` at the size that the network was trained on.
        parameters: weights and biases.
    """

    name: str
    maps: Shape
    parameters: int


def dense_twin(card: ModelCard) -> list[TwinLayer]:
    """The layers of a card as dense ones, one after the other; a block of several layers becomes one."""
    seen: Shape = (card.input.height, card.input.width, card.input.channels)
    twin = []
    for layer in card.layers:
        maps = _maps(layer, card)
        height, width, channels = maps
        twin.append(TwinLayer(layer.name, maps, dense(seen, maps) + height * width * channels))
        seen = maps
    return twin


def _maps(layer: LayerCard, card: ModelCard) -> Shape:
    """Padding is the same on both sides, so that the offset of the first unit says how much of it there is."""
    field = layer.receptive_field
    down, across = (
        (pixels - 2 * field.offset - size) // field.stride + 1
        for pixels, size in ((card.input.height, field.size), (card.input.width, field.across))
    )
    return down, across, layer.channels
