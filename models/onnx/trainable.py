"""A part of an ONNX file as a network of torch that can be trained, and the file with what it learnt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn

from models.onnx import op as onnx_op
from models.onnx.graph import keep_only, needed_nodes
from models.onnx.torch_operations import OPERATIONS
from scs.errors import ModelError

_IMAGE = "image"
# What is learnt of each operation, by the number of its input. The rest stays: p and q of an SCS layer, the statistics
# of a normalisation, and what scales pixels.
_LEARNT = {
    "Conv": (1, 2),
    "Gemm": (1, 2),
    "MatMul": (0, 1),
    "BatchNormalization": (1, 2),
    "LayerNormalization": (1, 2),
    "PRelu": (1,),
    onnx_op.SIMILARITY: (1,),
}


class TrainableGraph(nn.Module):
    """The graph of an ONNX file up to a tensor, run by torch node by node, its weights as parameters.

    Normalisations use the statistics of the file, as when it is served.

    Args:
        content: the file; its input is ``image``.
        output: name of the tensor.
        frozen: of the tensor up to which nothing is learnt; None to learn everywhere.

    Raises:
        ModelError: the graph has no such tensor, or an operation in front of it that is not known here.
    """

    def __init__(self, content: bytes, output: str, frozen: str | None = None) -> None:
        super().__init__()
        model = onnx.load_from_string(content)
        graph = part_of(model, [output]).graph
        unknown = sorted({node.op_type for node in graph.node} - OPERATIONS.keys() - {"Constant"})
        if unknown:
            raise ModelError(f"a network to start from has operations that can be trained here; this has {unknown[0]}")
        self._output = output
        self._nodes = [
            (node.op_type, list(node.input), list(node.output), _attributes(node))
            for node in graph.node
            if node.op_type != "Constant"
        ]
        fixed = {tensor.name for tensor in part_of(model, [frozen]).graph.initializer} if frozen else set()
        learnt = _learnt_names(graph) - fixed
        self.weights = nn.ParameterList()
        self._places: dict[str, int | str] = {}  # of each constant: its number among the weights, or its buffer's name
        for name, values in _constants(graph).items():
            if name in learnt and values.is_floating_point():
                self._places[name] = len(self.weights)
                self.weights.append(nn.Parameter(values))
            else:
                self._places[name] = f"constant{len(self._places)}"
                self.register_buffer(str(self._places[name]), values, persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Return the tensor for images ``(N, H, W, C)`` from 0 to 255, uint8 or floating point."""
        values: dict[str, Tensor | None] = {"": None, _IMAGE: image}
        for name, place in self._places.items():
            values[name] = self.weights[place] if isinstance(place, int) else getattr(self, place)
        for operation, inputs, outputs, attributes in self._nodes:
            made = OPERATIONS[operation](*(values[name] for name in inputs), **attributes)
            if isinstance(made, tuple):
                values.update(zip(outputs, made, strict=True))
            else:
                values[outputs[0]] = made
        found = values[self._output]
        assert found is not None
        return found

    def learnt(self) -> dict[str, Tensor]:
        """Return the weights by the names that they have in the file."""
        return {
            name: self.weights[place].detach().cpu() for name, place in self._places.items() if isinstance(place, int)
        }


def part_of(model: onnx.ModelProto, outputs: Sequence[str]) -> onnx.ModelProto:
    """Return a copy of a model with these tensors as its outputs, and nothing that they do not need.

    Raises:
        ModelError: there is no such tensor.
    """
    part = onnx.ModelProto()
    part.CopyFrom(model)
    made = {name for node in part.graph.node for name in node.output}
    for name in outputs:
        if name not in made:
            raise ModelError(f"a tensor '{name[:60]}' was asked for that the graph does not have")
    del part.graph.output[:]
    part.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
    keep_only(part.graph, needed_nodes(part.graph))
    return part


def _learnt_names(graph: onnx.GraphProto) -> set[str]:
    """Return the names of the weights that are learnt: constants that are read as such and as nothing else."""
    learnt: set[str] = set()
    others: set[str] = set()
    for node in graph.node:
        for place, name in enumerate(node.input):
            (learnt if place in _LEARNT.get(node.op_type, ()) else others).add(name)
    return learnt - others


def _constants(graph: onnx.GraphProto) -> dict[str, Tensor]:
    """Return all constants by name, whether they are kept in the graph or made by nodes; halves become float32."""
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            tensors[node.output[0]] = _constant_value(node)
    found = {name: torch.from_numpy(numpy_helper.to_array(tensor).copy()) for name, tensor in tensors.items()}
    return {name: values.float() if values.is_floating_point() else values for name, values in found.items()}


def _constant_value(node: onnx.NodeProto) -> onnx.TensorProto:
    (attribute,) = node.attribute
    if attribute.name == "value":
        tensor: onnx.TensorProto = attribute.t
        return tensor
    kind = onnx.TensorProto.FLOAT if attribute.name in ("value_float", "value_floats") else onnx.TensorProto.INT64
    value = helper.get_attribute_value(attribute)
    if attribute.name not in ("value_float", "value_floats", "value_int", "value_ints"):
        raise ModelError(f"constants are numbers; a network to start from has a {attribute.name}")
    many = isinstance(value, list)
    return helper.make_tensor(node.output[0], kind, [len(value)] if many else [], value if many else [value])


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
