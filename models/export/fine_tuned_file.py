"""Export of a network that was trained further: the file that it started from, with new weights and a new head."""

from __future__ import annotations

import hashlib

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.cards.card import CARD_VERSION, LayerCard, ModelCard
from models.networks import CLASS_MAP
from models.onnx.graph import keep_only, needed_nodes, read_by
from models.runtime.load import Images, RunnableModel
from models.training.fine_tuned import FineTuned
from scs.errors import ExportError

_LOGITS = "logits"
_OWN = "tuned"  # what names of tensors begin with that are added
LARGEST_DIFFERENCE = 1e-3  # between logits of the file and of the network, of their range


def export_fine_tuned(network: FineTuned) -> bytes:
    """Write what was learnt into the file that the network started from, and a head at the end of it.

    The head is linear at every place, so that the mean of its map plus the class's bias is the logit.
    """
    model = onnx.load_from_string(network.start.content)
    graph = model.graph
    shown = [layer.tensor for layer in _kept_layers(network.start.card)]
    _cut(graph, [network.start.features, *shown])
    _put_weights(graph, {name: values.numpy() for name, values in network.body.learnt().items()})
    kernels, bias = network.kernels()
    maps = f"{_OWN}/{CLASS_MAP}"
    graph.initializer.extend(
        [
            numpy_helper.from_array(kernels.numpy(), f"{_OWN}/kernels"),
            numpy_helper.from_array(bias.numpy(), f"{_OWN}/bias"),
        ]
    )
    graph.node.extend(
        [
            helper.make_node("Conv", [network.start.features, f"{_OWN}/kernels"], [maps]),
            helper.make_node("GlobalAveragePool", [maps], [f"{_OWN}/mean"]),
            helper.make_node("Flatten", [f"{_OWN}/mean"], [f"{_OWN}/rows"], axis=1),
            helper.make_node("Add", [f"{_OWN}/rows", f"{_OWN}/bias"], [_LOGITS]),
        ]
    )
    rows = graph.input[0].type.tensor_type.shape.dim[0]
    graph.output.append(
        helper.make_tensor_value_info(_LOGITS, TensorProto.FLOAT, [rows.dim_value or rows.dim_param, network.classes])
    )
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def tuned_card(network: FineTuned, content: bytes, name: str, version: int, labels: list[str], data: str) -> ModelCard:
    """Return the card of a network that was trained further: that of where it started, with its own classes."""
    card = network.start.card
    _, bias = network.kernels()
    map_card = next((layer for layer in card.layers if layer.name == card.class_map), None) or card.layers[-1]
    class_map = LayerCard(
        name=CLASS_MAP,
        tensor=f"{_OWN}/{CLASS_MAP}",
        channels=network.classes,
        receptive_field=map_card.receptive_field,
        signed=True,
        maps=map_card.maps,
    )
    return card.model_copy(
        update={
            "card_version": CARD_VERSION,
            "name": name,
            "version": version,
            "description": f"Classifier of {data}, trained further from {card.name} {card.version}.",
            "sha256": hashlib.sha256(content).hexdigest(),
            "parameters": _count(content),
            "labels": labels,
            "layers": [*_kept_layers(card), class_map],
            "class_map": CLASS_MAP,
            "class_bias": bias.tolist(),
            "accuracy": None,
            "equivariance": None,
            "training": None,
            "imported": None,
            "taught": None,
        }
    )


@torch.no_grad()
def check_tuned(network: FineTuned, model: RunnableModel, images: Images) -> None:
    """Compare an exported file with its network on images ``(N, H, W, C)``.

    Raises:
        ExportError: logits differ by more than ``LARGEST_DIFFERENCE`` of their range.
    """
    expected, came = network(torch.from_numpy(images)).numpy(), model.logits(images)
    difference = float(np.abs(expected - came).max() / max(1e-6, np.ptp(expected)))
    if not difference <= LARGEST_DIFFERENCE:
        raise ExportError(
            f"logits may differ by {LARGEST_DIFFERENCE} of their range; those of the file differ by {difference:.2g}"
        )


def _kept_layers(card: ModelCard) -> list[LayerCard]:
    """Return the layers that a card shows still: all but the old class map."""
    return [layer for layer in card.layers if layer.name not in (card.class_map, CLASS_MAP)]


def _cut(graph: onnx.GraphProto, tensors: list[str]) -> None:
    """Remove the outputs of a graph, and every node that these tensors do not need."""
    del graph.output[:], graph.value_info[:]
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in dict.fromkeys(tensors))
    keep_only(graph, needed_nodes(graph))
    del graph.output[:]


def _put_weights(graph: onnx.GraphProto, learnt: dict[str, NDArray[np.float32]]) -> None:
    """Replace constants by what was learnt, in the type that they had."""
    for tensor in graph.initializer:
        if tensor.name in learnt:
            values = learnt.pop(tensor.name).astype(numpy_helper.to_array(tensor).dtype)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    if learnt:  # the rest are made by nodes
        nodes = [node for node in graph.node if not learnt.keys() & {*node.output}]
        read = {name for node in nodes for name in read_by(node)}
        graph.initializer.extend(numpy_helper.from_array(learnt[name], name) for name in learnt.keys() & read)
        del graph.node[:]
        graph.node.extend(nodes)


def _count(content: bytes) -> int:
    tensors = onnx.load_from_string(content).graph.initializer
    return sum(int(np.prod(tensor.dims)) for tensor in tensors if tensor.data_type == TensorProto.FLOAT)
