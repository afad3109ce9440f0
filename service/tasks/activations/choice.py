"""The choice of layers and channels that a request asks for, by their names in the model's card."""

from __future__ import annotations

import re

from models.cards.card import LayerCard, ModelCard
from scs.errors import OptionError, UnknownNameError
from scs.nearest import there_are


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
        known = [layer.name for layer in card.layers]
        raise UnknownNameError(f"no layer '{name[:60]}' in {card.name}; {there_are(name, known)}")
    return layer


def chosen_class(card: ModelCard, wanted: str) -> int:
    """Return the number of a class.

    Args:
        card: of the network.
        wanted: the label of one class, or the number of any, from 0; ``#3`` is a number even where a label is ``3``.

    Raises:
        OptionError: several classes have this label.
        UnknownNameError: the network has no such class.
    """
    same = [number for number, label in enumerate(card.labels) if label == wanted]
    if len(same) == 1:
        return same[0]
    number = re.fullmatch("#?([0-9]{1,9})", wanted, re.ASCII)
    if number is not None and int(number[1]) < len(card.labels):
        return int(number[1])
    if same:
        numbers = ", ".join(f"#{number}" for number in same[:10])
        more = f" and {len(same) - 10} more" if len(same) > 10 else ""
        raise OptionError(
            f"{len(same)} classes of {card.name} are called '{wanted[:60]}'; ask for one by its number: {numbers}{more}"
        )
    raise UnknownNameError(f"no class '{wanted[:60]}' in {card.name}; {there_are(wanted, card.labels)}")


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
