"""Parameter counts of a network if each of its layers were dense (fully connected), from its card alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from models.cards.card import LayerCard, ModelCard
from scs.parameters import Shape, dense


@dataclass(frozen=True)
class TwinLayer:
    """A dense (fully connected) layer with the output shape of a layer on a card.

    Attributes:
        name: of the layer on the card.
        maps: ``(height, width, channels)`` at the size that the network was trained on.
        parameters: weights and biases.
    """

    name: str
    maps: Shape
    parameters: int


def dense_twin(card: ModelCard, shapes: Mapping[str, Shape] | None = None) -> list[TwinLayer]:
    """Replace the layers of a card by dense ones of the same output shapes; a block of several layers becomes one.

    Args:
        card: of the network.
        shapes: ``(height, width, channels)`` of its maps, by layer; worked out from receptive fields unless given.
    """
    seen: Shape = (card.input.height, card.input.width, card.input.channels)
    twin = []
    for layer in card.layers:
        maps = _maps(layer, card) if shapes is None else shapes[layer.name]
        height, width, channels = maps
        twin.append(TwinLayer(layer.name, maps, dense(seen, maps) + height * width * channels))
        seen = maps
    return twin


def _maps(layer: LayerCard, card: ModelCard) -> Shape:
    """Return the shape of a layer's maps; padding is symmetric, so the first unit's offset says how much there is."""
    field = layer.receptive_field
    down, across = (
        (pixels - 2 * field.offset - size) // field.stride + 1
        for pixels, size in ((card.input.height, field.size), (card.input.width, field.across))
    )
    return down, across, layer.channels
