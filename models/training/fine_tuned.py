"""A trained network that is trained further on other classes: its layers from an ONNX file, and a new head."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from models.cards.card import CARD_FILE, ModelCard, read_card, write_card
from models.datasets.dataset import Dataset, Images, evenly
from models.onnx.trainable import TrainableGraph, part_of
from models.runtime.device import open_session
from scs.errors import ModelError, UnknownNameError
from scs.nearest import there_are

BODY_RATE = 0.02  # of the learning rate, for layers that were trained before
ALL = "all"
_FOLDER = "start"  # of a run, with the file and the card
_BATCH = 16
_MOST_LOOKED_AT, _COMPARED = 128, 4  # images whose features are standardised by, and compared
_LEAST_DEVIATION = 1e-3  # of the largest deviation of a feature: one that hardly changes says nothing
_LARGEST_DIFFERENCE = 1e-3  # of features between torch and the runtime, of their range


@dataclass(frozen=True)
class Start:
    """The network that a training starts from.

    Args:
        content: its file.
        card: its card.

    Raises:
        ModelError: it is of a kind that cannot be trained on.
    """

    content: bytes
    card: ModelCard

    def __post_init__(self) -> None:
        name = self.card.name
        if self.card.format != "onnx":
            raise ModelError(f"a network to start from is ONNX; {name} is {self.card.format}")
        if self.card.bank is not None:
            raise ModelError(f"a network to start from has layers that were trained; {name} is a bank of templates")
        if (many := self._fixed_batch()) is not None:
            raise ModelError(f"a network to start from takes any number of pictures together; {name} takes {many}")
        if not self.card.layers:
            raise ModelError(f"a network to start from has a layer on its card; {name} has none")

    def _fixed_batch(self) -> int | None:
        graph = onnx.load_from_string(self.content).graph
        return next((value.type.tensor_type.shape.dim[0].dim_value or None for value in graph.input), None)

    @property
    def features(self) -> str:
        """The tensor ``(N, C, H', W')`` that a new head stands on: what the class map is made of, or the last layer."""
        card = self.card
        if card.class_map is not None:
            tensor = next(layer.tensor for layer in card.layers if layer.name == card.class_map)
            for node in onnx.load_from_string(self.content).graph.node:
                if tensor in node.output and node.op_type == "Conv":
                    return str(node.input[0])
        layers = [layer for layer in card.layers if layer.name != card.class_map]
        if not layers:
            raise ModelError(f"a network to start from has a layer in front of its class map; {card.name} has none")
        return layers[-1].tensor

    def tensor_frozen(self, frozen: str) -> str | None:
        """Return the tensor up to which nothing is trained; None where everything is.

        Args:
            frozen: ``all``, the name of a layer, or empty.

        Raises:
            UnknownNameError: there is no such layer.
        """
        if not frozen:
            return None
        if frozen == ALL:
            return self.features
        layer = self.card.layer(frozen)
        if layer is None or layer.name == self.card.class_map:
            names = [layer.name for layer in self.card.layers if layer.name != self.card.class_map]
            raise UnknownNameError(
                f"--freeze takes all or a layer of {self.card.name}; '{frozen[:60]}' came; {there_are(frozen, names)}"
            )
        return layer.tensor

    def save(self, run: Path) -> None:
        """Keep it with a run, so that this can be resumed and exported when the model has gone."""
        folder = run / _FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        (folder / self.card.file_name).write_bytes(self.content)
        write_card(self.card, folder / CARD_FILE)

    @classmethod
    def load(cls, run: Path) -> Start:
        """Return what was kept with a run."""
        card = read_card(run / _FOLDER / CARD_FILE)
        return cls((run / _FOLDER / card.file_name).read_bytes(), card)


class FineTuned(nn.Module):
    """The layers of a trained network, and a new linear head at every place of its last maps.

    Features are standardised before the head, so that it learns as well from small ones as from large ones; that is
    linear, and part of the head when it is exported.

    Args:
        start: the network.
        classes: number of the new classes.
        frozen: ``all``, or the last of its layers that is not trained; empty to train everything.

    Raises:
        ModelError: an operation of the network is not known in torch.
        UnknownNameError: there is no layer of that name.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, start: Start, classes: int, frozen: str = "") -> None:
        super().__init__()
        self.start, self.classes, self.channels = start, classes, start.card.input.channels
        self.body = TrainableGraph(start.content, start.features, start.tensor_frozen(frozen))
        features = self._count_features()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("deviation", torch.ones(features))
        self.head = nn.Linear(features, classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    @torch.no_grad()
    def features_of(self, images: Images) -> Tensor:
        """Return the features ``(N, C, H', W')`` of images ``(N, H, W, C)``, before anything is trained.

        Raises:
            ModelError: torch cannot run the network.
        """
        try:
            maps: Tensor = self.body(torch.from_numpy(images))
        except (RuntimeError, TypeError, ValueError, LookupError) as error:
            name, why = self.start.card.name, str(error).partition("\n")[0][:200]
            raise ModelError(f"{name} could not be run by torch, to be trained further: {why}") from None
        return maps

    def _count_features(self) -> int:
        size = self.start.card.input
        maps = self.features_of(np.zeros((1, size.height, size.width, size.channels), np.uint8))
        if maps.ndim != 4:
            raise ModelError(f"a new head needs maps with places; those of {size.width}x{size.height} are {maps.shape}")
        return int(maps.shape[1])

    @torch.no_grad()
    def look_at(self, images: Images) -> None:
        """Take the mean and the deviation of the features from some images ``(N, H, W, C)``."""
        batches = torch.from_numpy(np.ascontiguousarray(images)).split(_BATCH)
        pooled = torch.cat([self.body(batch).mean((2, 3)) for batch in batches])
        deviation = pooled.std(0, correction=0)
        self.mean.copy_(pooled.mean(0))
        self.deviation.copy_(deviation.clamp(min=max(float(deviation.max()) * _LEAST_DEVIATION, 1e-12)))

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits ``(N, classes)`` of images ``(N, H, W, C)`` from 0 to 255."""
        pooled = self.body(image).mean((2, 3))
        logits: Tensor = self.head((pooled - self.mean) / self.deviation)
        return logits

    @torch.no_grad()
    def kernels(self) -> tuple[Tensor, Tensor]:
        """Return the head as kernels ``(classes, C, 1, 1)`` on the features as they are, and its biases."""
        weights = self.head.weight / self.deviation
        return weights[:, :, None, None].cpu(), (self.head.bias - weights @ self.mean).cpu()


def build_fine_tuned(start: Start, frozen: str, dataset: Dataset) -> FineTuned:
    """Build a network with a new head for a data set, and compare its features with those of the runtime.

    Raises:
        ModelError: they differ, so that an operation is another one in torch; or the network takes one picture at a
            time.
        UnknownNameError: there is no layer of the name ``frozen``.
    """
    network = FineTuned(start, len(dataset.classes), frozen)
    images = _middles(evenly(dataset.train_images, _MOST_LOOKED_AT), start.card.input.height, start.card.input.width)
    _check_features(network, images[:_COMPARED])
    network.look_at(images)
    return network


def _middles(images: Images, height: int, width: int) -> Images:
    top, left = (images.shape[1] - height) // 2, (images.shape[2] - width) // 2
    return images[:, top : top + height, left : left + width]


def _check_features(network: FineTuned, images: Images) -> None:
    start, images = network.start, np.ascontiguousarray(images)
    part = part_of(onnx.load_from_string(start.content), [start.features])
    (expected,) = open_session(part.SerializeToString(), "cpu").run(None, {"image": images})
    came = network.features_of(images).numpy()
    difference = np.abs(came - expected).max() / max(1e-6, float(np.ptp(expected)))
    if not difference <= _LARGEST_DIFFERENCE:
        raise ModelError(
            f"a network to start from needs the same features in torch; those of {start.card.name} differ by "
            f"{difference:.2g} of their range"
        )
