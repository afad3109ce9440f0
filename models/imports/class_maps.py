"""Exact class maps (CAM): where logits are linear in a mean of maps, each class has a map whose mean is its logit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from models.imports.graphs import FLOATS, Graph, attributes
from models.imports.trial import Measured, Trial
from models.imports.views import View

LARGEST_DIFFERENCE = 1e-3  # of the logits' range, that a class map's mean may be off by
_PASSING = {
    "Add",
    "BatchNormalization",
    "Cast",
    "Clip",
    "Concat",
    "Div",
    "Dropout",
    "Flatten",
    "Gemm",
    "Identity",
    "MatMul",
}
_PASSING |= {"Mul", "Reshape", "Squeeze", "Unsqueeze", "Sub", "Conv", "DequantizeLinear", "QuantizeLinear", "Transpose"}
_AT_ONCE = 256
_INPUT = "import/mean"
_ROUNDING = 1e-3  # of the range, in which float16 is within

Array = NDArray[Any]


@dataclass(frozen=True)
class Head:
    """A linear head: ``logits = weights @ mean of the maps + bias``.

    Attributes:
        maps: the tensor that the mean is taken of.
        view: of it.
        weights: ``(classes, channels)``.
        bias: ``(classes,)``.
    """

    maps: str
    view: View
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    def of_two_classes(self) -> Head:
        """Return the head of two classes of a head of one number: the logit of the other class is 0."""
        weights, bias = (np.concatenate([np.zeros_like(each), each]) for each in (self.weights, self.bias))
        return replace(self, weights=weights, bias=bias)


def find_head(graph: Graph, measured: Measured, views: dict[str, View], logits: str) -> Head | str:
    """Find the linear head of a network; else return in a few words why there is none.

    Whether what follows the mean is linear is tried, not read: zero gives the bias, one channel at a time the weights,
    and sums of channels have to be sums of what these gave.
    """
    name = logits
    while (node := graph.makers.get(name)) is not None:
        inputs = graph.valued_inputs(node)
        if _is_mean(node, graph, measured, views):
            return _linear(graph, measured, views, inputs[0], name, logits)
        if len(inputs) != 1 or node.op_type not in _PASSING:
            return f"the logits come from {node.op_type}, not from a mean of maps and what is linear in it"
        name = inputs[0]
        view = views.get(name)
        if view is None or not view.has_places() or _is_one_place(views, measured, name):
            continue
        if node.op_type in ("Flatten", "Reshape"):
            return f"the maps go into the classes place by place ({node.op_type}), without a mean"
        return f"{node.op_type} makes the classes of maps, without a mean"
    return "the logits are made without maps"


def _is_mean(node: onnx.NodeProto, graph: Graph, measured: Measured, views: dict[str, View]) -> bool:
    """Return whether a node takes the mean of maps over all their places."""
    if not node.input or node.input[0] not in views or not views[node.input[0]].has_places():
        return False
    roles, shape = views[node.input[0]].roles, measured.shapes[node.input[0]]
    places = {axis for axis, role in enumerate(roles) if role in "hwt"}
    if node.op_type == "GlobalAveragePool":
        return True
    options = attributes(node)
    if node.op_type == "ReduceMean":
        axes = options.get("axes")
        if axes is None and len(node.input) > 1:
            found = measured.values.get(node.input[1])
            axes = graph.constant(node.input[1]) if found is None else found
        return axes is not None and {int(axis) % len(roles) for axis in np.reshape(axes, -1)} == places
    if node.op_type == "AveragePool":
        return _covers(options, [shape[axis] for axis in sorted(places)]) and _is_one_place(
            views, measured, node.output[0]
        )
    return False


def _covers(options: dict[str, Any], sides: list[int]) -> bool:
    """Return whether the first window of an average pooling has all places of a map, and counts no others."""
    before = options.get("pads", [0] * len(sides))[: len(sides)]
    if options.get("count_include_pad", 0) and any(options.get("pads", [])):
        return False
    windows = zip(options["kernel_shape"], before, sides, options.get("dilations", [1] * len(sides)), strict=True)
    return all(kernel - pad >= side and dilation == 1 for kernel, pad, side, dilation in windows)


def _is_one_place(views: dict[str, View], measured: Measured, name: str) -> bool:
    """Return whether a map has shrunk to one place: a mean of the whole."""
    shape = measured.shapes[name]
    return all(shape[axis] == 1 for axis, role in enumerate(views[name].roles) if role in "hwt")


def _linear(graph: Graph, measured: Measured, views: dict[str, View], maps: str, mean: str, logits: str) -> Head | str:
    """Return the head from a mean on, where that is linear."""
    view, shape = views[maps], measured.shapes[mean]
    if view.grid is not None and view.grid.before + view.grid.after:
        return "the mean is over the class token, too"
    channels = measured.shapes[maps][view.roles.index("c")]
    if int(np.prod(shape[1:])) != channels:
        return "the mean does not leave a number a channel"
    for rows in (_AT_ONCE, measured.shapes[graph.source][0]):  # where the head takes no other batch than the network
        try:
            answer = _answers(graph, measured, mean, logits, (rows, *shape[1:]))
            bias = answer(np.zeros((1, channels)))[0]
            weights = answer(np.eye(channels)) - bias
            tried = np.random.default_rng(0).normal(size=(8, channels)) * 3
            expected, came = tried @ weights + bias, answer(tried)
        except Exception:  # the runtime raises a class of its own for each cause
            continue
        if not np.abs(expected - came).max() <= _ROUNDING * max(1e-6, float(np.ptp(came))):
            return "what follows the mean is not linear"
        return Head(maps, view, weights.T.astype(np.float32), bias.astype(np.float32))
    return "what follows the mean cannot be run alone"


def _answers(
    graph: Graph, measured: Measured, mean: str, logits: str, shape: tuple[int, ...]
) -> Callable[[Array], Array]:
    """Return what makes logits ``(n, classes)`` of means ``(n, channels)``, by the graph behind the mean."""
    session = Trial(_from(graph, measured, mean, logits))
    dtype = FLOATS[graph.type_of(mean)]
    rows = shape[0]

    def answer(means: Array) -> Array:
        answers = []
        for start in range(0, len(means), rows):
            given = means[start : start + rows]
            padded = np.concatenate([given, np.zeros((rows - len(given), given.shape[1]))])
            (out,) = session.run(None, {_INPUT: padded.reshape(shape).astype(dtype)})
            answers.append(out.reshape(rows, -1)[: len(given)].astype(np.float64))
        return np.concatenate(answers)

    return answer


def _from(graph: Graph, measured: Measured, start: str, end: str) -> onnx.ModelProto:
    """Return the part of a graph from a tensor on, as a model with an input for it, rows of which are free."""
    part = onnx.ModelProto()
    part.CopyFrom(graph.model)
    del part.graph.node[:], part.graph.input[:], part.graph.output[:], part.graph.value_info[:]
    kept, seen = [], {end}
    for node in reversed(graph.nodes):
        # What does not depend on the picture, such as the shape of a reshape, is as it was measured.
        makes = [name for name in node.output if name in seen and name != start and name not in measured.values]
        if makes:
            seen.update(node.input)
            kept.append(node)
    part.graph.node.append(onnx.helper.make_node("Identity", [_INPUT], [start]))
    part.graph.node.extend(reversed(kept))
    part.graph.input.append(onnx.helper.make_tensor_value_info(_INPUT, graph.type_of(start), None))
    part.graph.output.append(onnx.ValueInfoProto(name=end))
    weights = [tensor for tensor in part.graph.initializer if tensor.name in seen]
    del part.graph.initializer[:]
    part.graph.initializer.extend(weights)
    fixed = [numpy_helper.from_array(value, name) for name, value in measured.values.items() if name in seen]
    part.graph.initializer.extend(fixed)
    return part
