"""A head as nodes of an ONNX graph, behind the maps of a network; they run on any operator set and any runtime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.imports.graphs import FLOATS
from models.onnx.graph import keep_only, needed_nodes
from models.teaching.head import Head

PREFIX = "taught/"  # of the names of all that is added
KERNEL_MAPS, CLASS_MAP = f"{PREFIX}kernel_maps", f"{PREFIX}class_map"
_LOGITS = "logits"
_FLOOR, _EPS = 1e-12, 1e-6  # as in the op, see models.onnx.op


def compose(network: bytes, features: str, kept: Sequence[str], head: Head) -> bytes:
    """Put a head behind a network.

    Where z is the mean of a picture's maps in the head's space and w a kernel, its answer is the sharpened cosine
    ``y = c * |c| ** (p - 1)`` with ``c = z·w / ((‖z‖ + q) (‖w‖ + q))``. The product is linear in the maps, so a
    kernel's map is ``y / c`` times the products at each place: its mean *is* ``y``. A class's map is the mean of its
    kernels' maps times the temperature, and its mean is the logit. "None of these" has a map of zeros, and as its
    bias the threshold.

    Args:
        network: an ONNX file whose input is ``image``.
        features: name of the tensor ``(N, C, H', W')`` whose means are compared.
        kept: names of other tensors that stay.
        head: the head.

    Returns:
        An ONNX file with the output ``logits`` ``(N, classes)``; the last class is "none of these" where the head has a
        threshold.
    """
    model = onnx.load_from_string(network)
    _cut(model, [features, *kept])
    nodes = _Nodes(model)
    _add_head(nodes, features, head)
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


def _add_head(nodes: _Nodes, maps: str, head: Head) -> None:
    space, kernels, sharpness = head.space, head.kernels, head.sharpness
    norms = np.sqrt((kernels.vectors**2).sum(1) + _FLOOR) + sharpness.q
    unit = kernels.vectors / norms[:, None]

    mean = nodes.add("GlobalAveragePool", maps)
    centred = nodes.add("Sub", mean, nodes.constant(space.mean[None, :, None, None]))
    placed = nodes.add("Mul", centred, nodes.constant(1 / space.scale[None, :, None, None]))
    if len(space.gains):
        along = nodes.add("Conv", placed, nodes.constant(space.directions[:, :, None, None]))
        changed = nodes.add("Mul", along, nodes.constant(space.gains[None, :, None, None]))
        turned = nodes.add("Conv", changed, nodes.constant(space.directions.T[:, :, None, None]))
        placed = nodes.add("Add", placed, turned)
    energy = nodes.add("Conv", nodes.add("Mul", placed, placed), nodes.constant(np.ones((1, len(space.mean), 1, 1))))
    norm = nodes.add("Sqrt", nodes.add("Add", energy, nodes.constant(np.array(_FLOOR))))
    muted = nodes.add("Add", norm, nodes.constant(np.array(sharpness.q)))
    cosine = nodes.add("Div", nodes.add("Conv", placed, nodes.constant(unit[:, :, None, None])), muted)
    magnitude = nodes.add("Add", nodes.add("Abs", cosine), nodes.constant(np.array(_EPS)))
    power = nodes.add("Mul", nodes.add("Log", magnitude), nodes.constant(np.array(sharpness.p - 1)))
    factor = nodes.add("Exp", power)
    answers = nodes.add("Mul", cosine, factor)

    # Of the maps themselves the same products, by kernels that the steps before are merged into.
    merged = space.turn(unit) / space.scale
    bias = -merged @ space.mean
    products = nodes.add("Conv", maps, nodes.constant(merged[:, :, None, None]), nodes.constant(bias))
    nodes.add("Mul", products, nodes.add("Div", factor, muted), name=KERNEL_MAPS)

    shares = head.temperature * kernels.shares(head.classes)
    biases = np.zeros(head.classes)
    if head.threshold is not None:
        shares = np.concatenate([shares, np.zeros((1, shares.shape[1]))])
        biases = np.append(biases, head.temperature * head.threshold)
    of_classes = nodes.constant(shares[:, :, None, None])
    nodes.add("Conv", KERNEL_MAPS, of_classes, name=CLASS_MAP)
    nodes.add("Flatten", nodes.add("Conv", answers, of_classes, nodes.constant(biases)), name=_LOGITS, axis=1)


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
