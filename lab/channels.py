"""Feature visualization of a channel of a model, by the names on the model's card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lab.feature_visualization import Wish, visualize
from models.cards.card import LayerCard, ModelCard
from models.cards.catalogue import Entry
from models.runtime.differentiable import differentiable
from scs.errors import ModelError, OptionError, UnknownNameError


@dataclass(frozen=True)
class Visualized:
    """The picture that a channel answers most (feature visualization).

    Attributes:
        card: the model's.
        channel: from 0.
        wish: the picture, and the channel's answers.
    """

    card: ModelCard
    channel: int
    wish: Wish


def visualize_channel(
    entry: Entry,
    layer: str,
    channel: str,
    *,
    size: int | None,
    steps: int,
    seed: int,
    unit: bool,
    on_step: Callable[[int], None],
) -> Visualized:
    """Find the picture that a channel of a model answers most (activation maximization).

    Args:
        entry: a model.
        layer: name of a layer.
        channel: its number from 0, or a class where each channel of the layer is one.
        size: pixels on each side of the picture; as the model was trained unless given.
        steps: as of :func:`lab.feature_visualization.visualize`, as are the following.
        seed: decides the start and the changes.
        unit: whether the unit in the middle answers alone.
        on_step: called with the number of steps done so far.

    Raises:
        ModelError: the model is not ONNX, or not what its card says.
        UnknownNameError: there is no such layer or channel; the message names those that there are.
        OptionError: the network takes no picture so small.
    """
    card = entry.card()
    if card.format != "onnx":
        raise ModelError(f"scs visualize needs a model that is ONNX; {card.name} is {card.format}")
    shown = _layer(card, layer)
    number = _channel(card, shown, channel)
    pixels = size or max(card.input.width, card.input.height)
    least = max(card.input.smallest_size)
    if pixels < least:
        raise OptionError(f"--size is at least {least} for {card.name}; {pixels} came")
    (wish,) = visualize(
        differentiable(entry.verified_bytes(card), shown.tensor, card.serving.max_batch_size == 1),
        shown.tensor,
        [number],
        size=pixels,
        channels=card.input.channels,
        steps=steps,
        seed=seed,
        unit=unit,
        on_step=on_step,
    )
    return Visualized(card, number, wish)


def _layer(card: ModelCard, name: str) -> LayerCard:
    for layer in card.layers:
        if layer.name == name:
            return layer
    known = ", ".join(layer.name for layer in card.layers)
    raise UnknownNameError(f"no layer '{name[:60]}' in {card.name}; there are: {known}")


def _channel(card: ModelCard, layer: LayerCard, wanted: str) -> int:
    labels = layer.labels or (card.labels if layer.name == card.class_map else [])
    if wanted in labels:
        return labels.index(wanted)
    if wanted.isdecimal() and int(wanted) < layer.channels:
        return int(wanted)
    known = f" or one of {', '.join(labels[:10])}" if labels else ""
    raise UnknownNameError(f"a channel of {layer.name} is 0 to {layer.channels - 1}{known}; '{wanted[:60]}' came")
