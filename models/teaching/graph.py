"""A head as nodes of an ONNX graph, behind the maps of a network; they run on any operator set and any runtime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.cards.card import Pooling
from models.imports.graphs import FLOATS
from models.onnx.graph import keep_only, needed_nodes
from models.teaching.head import Head
from models.teaching.space import Wide

PREFIX = "taught/"  # of the names of all that is added
KERNEL_MAPS, CLASS_MAP = f"{PREFIX}kernel_maps", f"{PREFIX}class_map"
_LOGITS = "logits"
_FLOOR, _EPS = 1e-12, 1e-6  # as in the op, see models.onnx.op


def compose(network: bytes, features: str, kept: Sequence[str], head: Head, pooling: Pooling) -> bytes:
    """Put a head behind a network.

    Where z is the mean of a picture's maps in the head's space and w a kernel, its answer is the sharpened cosine
    ``y = c * |c| ** (p - 1)`` with ``c = z·w / ((‖z‖ + q) (‖w‖ + q))``. The product is linear in the maps, so a
    kernel's map is ``y / c`` times the products at each place: its mean *is* ``y``. A class's map is the mean of its
    kernels' maps times the temperature, and its mean is the logit. "None of these" has a map of zeros, and as its
    bias the threshold.

    Where the maximum counts, z is each place of the maps, ``y`` at each place is the kernel's map, and the maximum of a
    class's map is the logit.

    Args:
        network: an ONNX file whose input is ``image``.
        features: name of the tensor ``(N, C, H', W')`` whose means or places are compared.
        kept: names of other tensors that stay.
        head: the head.
        pooling: of a class's map.

    Returns:
        An ONNX file with the output ``logits`` ``(N, classes)``; the last class is "none of these" where the head has a
        threshold.
    """
    model = onnx.load_from_string(network)
    _cut(model, [features, *kept])
    nodes = _Nodes(model)
    _add_head(nodes, features, head, pooling)
    rows = model.graph.input[0].type.tensor_type.shape.dim[0]
    first: int | str = rows.dim_value or "N"
    classes = head.classes + (head.threshold is not None)
    model.graph.output.append(helper.make_tensor_value_info(_LOGITS, TensorProto.FLOAT, [first, classes]))
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content


def count_parameters(network: bytes, features: str) -> int:
    """Count the numbers of a network before its features."""
    model = onnx.load_from_string(network)
    _cut(model, [features])
    return sum(int(np.prod(tensor.dims)) for tensor in model.graph.initializer if tensor.data_type in FLOATS)


def _cut(model: onnx.ModelProto, tensors: Sequence[str]) -> None:
    """Leave only what makes some tensors, without outputs."""
    graph = model.graph
    del graph.output[:], graph.value_info[:]
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in dict.fromkeys(tensors))
    keep_only(graph, needed_nodes(graph))
    del graph.output[:]


def _add_head(nodes: _Nodes, maps: str, head: Head, pooling: Pooling) -> None:
    shares = head.temperature * head.kernels.shares(head.classes)
    biases = np.zeros(head.classes)
    if head.threshold is not None:
        shares = np.concatenate([shares, np.zeros((1, shares.shape[1]))])
        biases = np.append(biases, head.temperature * head.threshold)
    of_classes = nodes.constant(shares[:, :, None, None])
    if pooling == "maximum":
        _add_similarity(nodes, maps, head, KERNEL_MAPS)
        best = nodes.add("GlobalMaxPool", nodes.add("Conv", KERNEL_MAPS, of_classes, name=CLASS_MAP))
        logits = nodes.add("Add", best, nodes.constant(biases[None, :, None, None]))
    else:
        found = _add_similarity(nodes, nodes.add("GlobalAveragePool", maps), head)
        _add_shares(nodes, maps, head, found)
        nodes.add("Conv", KERNEL_MAPS, of_classes, name=CLASS_MAP)
        logits = nodes.add("Conv", found.answers, of_classes, nodes.constant(biases))
    nodes.add("Flatten", logits, name=_LOGITS, axis=1)


class _Similarity(NamedTuple):
    """Names of the kernels' answers, of ``|c| ** (p - 1)`` in them, and of the length of z with the floor."""

    answers: str
    factor: str
    length: str


def _unit(head: Head) -> Wide:
    """Return the kernels ``(K, channels)``, each divided by its length with the floor."""
    vectors = head.kernels.vectors
    unit: Wide = vectors / (np.sqrt((vectors**2).sum(1, keepdims=True) + _FLOOR) + head.sharpness.q)
    return unit


def _add_similarity(nodes: _Nodes, maps: str, head: Head, name: str = "") -> _Similarity:
    """Add the comparison of every place of maps with the kernels; ``name`` is that of the answers."""
    space, sharpness = head.space, head.sharpness
    centred = nodes.add("Sub", maps, nodes.constant(space.mean[None, :, None, None]))
    placed = nodes.add("Mul", centred, nodes.constant(1 / space.scale[None, :, None, None]))
    if len(space.gains):
        along = nodes.add("Conv", placed, nodes.constant(space.directions[:, :, None, None]))
        changed = nodes.add("Mul", along, nodes.constant(space.gains[None, :, None, None]))
        turned = nodes.add("Conv", changed, nodes.constant(space.directions.T[:, :, None, None]))
        placed = nodes.add("Add", placed, turned)
    energy = nodes.add("Conv", nodes.add("Mul", placed, placed), nodes.constant(np.ones((1, len(space.mean), 1, 1))))
    norm = nodes.add("Sqrt", nodes.add("Add", energy, nodes.constant(np.array(_FLOOR))))
    length = nodes.add("Add", norm, nodes.constant(np.array(sharpness.q)))
    cosine = nodes.add("Div", nodes.add("Conv", placed, nodes.constant(_unit(head)[:, :, None, None])), length)
    magnitude = nodes.add("Add", nodes.add("Abs", cosine), nodes.constant(np.array(_EPS)))
    power = nodes.add("Mul", nodes.add("Log", magnitude), nodes.constant(np.array(sharpness.p - 1)))
    factor = nodes.add("Exp", power)
    return _Similarity(nodes.add("Mul", cosine, factor, name=name), factor, length)


def _add_shares(nodes: _Nodes, maps: str, head: Head, of_means: _Similarity) -> None:
    """Add the kernels' maps: each place's share in the answer to the mean, by kernels that the space is merged into."""
    space = head.space
    merged = space.turn(_unit(head)) / space.scale
    products = nodes.add("Conv", maps, nodes.constant(merged[:, :, None, None]), nodes.constant(-merged @ space.mean))
    nodes.add("Mul", products, nodes.add("Div", of_means.factor, of_means.length), name=KERNEL_MAPS)


class _Nodes:
    """Nodes and constants of float32 that are added to a model."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._graph = model.graph

    def add(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Add a node; the result is the name of its output."""
        name = name or f"{PREFIX}{kind.lower()}_{len(self._graph.node)}"
        self._graph.node.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, values: NDArray[np.floating]) -> str:
        """Add a constant; the result is its name."""
        name = f"{PREFIX}constant_{len(self._graph.initializer)}"
        array = np.ascontiguousarray(values, np.float32)
        self._graph.initializer.append(numpy_helper.from_array(array, name))
        return name
