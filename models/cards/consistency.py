"""What in a card contradicts itself, before anything is known of the model's file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from models.cards.card import ModelCard


def contradictions(card: ModelCard) -> list[str]:
    """List what does not go together on a card, each in a few words; none where all does."""
    return [*_of_sizes(card), *_of_layers(card), *_of_class_map(card)]


def _of_sizes(card: ModelCard) -> Iterator[str]:
    width, height = card.input.width, card.input.height
    least_width, least_height = card.input.smallest_size
    if least_width > width or least_height > height:
        yield f"smallest is {least_width}x{least_height}, which is larger than the input's {width}x{height}"


def _of_layers(card: ModelCard) -> Iterator[str]:
    for name, count in Counter(layer.name for layer in card.layers).items():
        if count > 1:
            yield f"{count} layers are called '{name}'"
    for layer in card.layers:
        if layer.labels is not None and len(layer.labels) != layer.channels:
            yield f"layer '{layer.name}' has {layer.channels} channels and labels for {len(layer.labels)}"


def _of_class_map(card: ModelCard) -> Iterator[str]:
    if card.class_map is None:
        return
    layer = card.layer(card.class_map)
    if layer is None:
        yield f"class_map names the layer '{card.class_map[:60]}', which there is not"
    elif layer.channels != len(card.labels):
        yield f"the class map '{layer.name}' has {layer.channels} channels for {len(card.labels)} classes"
    if len(card.class_bias) != len(card.labels):
        yield f"class_bias has {len(card.class_bias)} numbers for {len(card.labels)} classes"
