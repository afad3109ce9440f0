"""The choice of layers and channels that a request asks for, by their names in the model's card."""

from __future__ import annotations

from models.cards.card import LayerCard, ModelCard
from scs.errors import UnknownNameError


def chosen_layers(card: ModelCard, names: str) -> list[LayerCard]:
    """Return the layers of ``all``, or of names with commas between them, each once.

    Raises:
        UnknownNameError: the network has no such layer.
    """
    if names == "all":
        return card.layers
    return [chosen_layer(card, name) for name in dict.fromkeys(names.split(","))]


def chosen_layer(card: ModelCard, name: str) -> LayerCard:
    """Return the layer of a name.

    Raises:
        UnknownNameError: the network has no such layer.
    """
    layer = card.layer(name)
    if layer is None:
        known = ", ".join(layer.name for layer in card.layers)
        raise UnknownNameError(f"no layer '{name[:60]}' in {card.name}; there are: {known}")
    return layer


def chosen_channels(energies: list[tuple[int, float]], wish: str, layer: LayerCard) -> list[int]:
    """Return the channels of ``all``, ``topN`` or numbers with commas between them, each once.

    Args:
        energies: channels with their energies, most first.
        wish: as :class:`service.api.activations.ActivationOptions` has it.
        layer: whose channels they are.

    Raises:
        UnknownNameError: the layer has no such channel.
    """
    if wish == "all":
        return list(range(layer.channels))
    if wish.startswith("top"):
        return [channel for channel, _ in energies[: int(wish.removeprefix("top"))]]
    return _named_channels(wish, layer)


def count_channels(wish: str, layer: LayerCard) -> int:
    """Return how many channels ``chosen_channels`` will choose, which is known before their energies are.

    Raises:
        UnknownNameError: the layer has no such channel.
    """
    if wish == "all":
        return layer.channels
    if wish.startswith("top"):
        return min(int(wish.removeprefix("top")), layer.channels)
    return len(_named_channels(wish, layer))


def _named_channels(wish: str, layer: LayerCard) -> list[int]:
    channels = [*dict.fromkeys(int(number) for number in wish.split(","))]
    if max(channels) >= layer.channels:
        raise UnknownNameError(f"no channel {max(channels)} in {layer.name}; there are {layer.channels}, from 0")
    return channels
