"""The network whose features are used: its file, its card, and one layer of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.cards.card import LayerCard, ModelCard, Pooling
from models.runtime.load import Images, load_model
from models.runtime.session import RunnableModel
from models.teaching.graph import PREFIX
from models.teaching.taught import Views
from scs.errors import ModelError, UnknownNameError
from scs.nearest import there_are

_NO_PLACE = ".class_token"  # at the end of a layer's name
_AT_ONCE = 16  # pictures that are run together


@dataclass(frozen=True, eq=False)
class Network:
    """A network that is loaded.

    Attributes:
        card: of it.
        content: its file, whose SHA-256 was checked.
        layer: the one whose features are compared.
        pooling: what of a class's map is its score: the mean, so that pictures are compared by the means of their
            features, or the maximum, so that every place of a picture is compared.
        model: runs it.
    """

    card: ModelCard
    content: bytes
    layer: LayerCard
    pooling: Pooling
    model: RunnableModel

    def views(self, images: Images) -> Views:
        """Return what is compared of images ``(N, H, W, C)``: ``(N, P, C')``, P is 1 where it is the mean.

        At least one image.
        """
        most = min(_AT_ONCE, self.card.serving.max_batch_size or _AT_ONCE)
        found = []
        for start in range(0, len(images), most):
            maps = self.model.layers(images[start : start + most], [self.layer.name])[self.layer.name]
            places = maps.reshape(*maps.shape[:2], -1).swapaxes(1, 2)
            found.append(places.mean(1, keepdims=True) if self.pooling == "mean" else places)
        return np.concatenate(found)


def open_network(card: ModelCard, content: bytes, layer: str | None, pooling: Pooling = "mean") -> Network:
    """Load a network.

    Args:
        card: of it.
        content: its file.
        layer: the one whose features are used; its last maps unless given.
        pooling: what of a class's map is its score.

    Raises:
        ModelError: it is TorchScript or a bank, or shows no layers.
        UnknownNameError: there is no such layer.
    """
    if card.format != "onnx":
        raise ModelError(f"what is taught is written as ONNX, so its network needs to be; {card.name} is {card.format}")
    if card.bank is not None:
        raise ModelError(f"a network with features is needed; {card.name} is a bank of templates")
    return Network(card, content, feature_layer(card, layer), pooling, load_model(content, card, "cpu"))


def own_layers(card: ModelCard) -> list[LayerCard]:
    """Return the layers of the network itself: no class map, and nothing that was added by teaching."""
    return [each for each in card.layers if each.name != card.class_map and not each.tensor.startswith(PREFIX)]


def feature_layer(card: ModelCard, name: str | None) -> LayerCard:
    """Return the layer of that name, or the last one that has places.

    Raises:
        ModelError: the network shows no layers.
        UnknownNameError: there is no such layer.
    """
    layers = own_layers(card)
    placed = [layer for layer in layers if not layer.name.endswith(_NO_PLACE)]
    if not placed:
        raise ModelError(f"a network is needed that shows a layer, whose features are compared; {card.name} shows none")
    if name is None:
        return placed[-1]
    found = next((layer for layer in layers if layer.name == name), None)
    if found is None:
        raise UnknownNameError(
            f"no layer '{name[:60]}' in {card.name}; {there_are(name, [each.name for each in layers])}"
        )
    return found
