"""What every step of an import asks of an ONNX graph: who makes a tensor, and what depends on the picture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from models.onnx.graph import depending, read_by

FLOATS: dict[int, np.dtype[Any]] = {
    onnx.TensorProto.FLOAT: np.dtype(np.float32),
    onnx.TensorProto.FLOAT16: np.dtype(np.float16),
    onnx.TensorProto.DOUBLE: np.dtype(np.float64),
}


class Graph:
    """A graph with its nodes by what they make and what they read.

    Args:
        model: whose graph it is; not changed, and not to be changed while this is used.
        source: the graph's input that takes the picture.
    """

    def __init__(self, model: onnx.ModelProto, source: str) -> None:
        self.model, self.source = model, source
        self.nodes = list(model.graph.node)
        self.initializers = {tensor.name: tensor for tensor in model.graph.initializer}
        self.makers = {name: node for node in self.nodes for name in node.output if name}
        self.readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in self.nodes:
            for name in dict.fromkeys(read_by(node)):
                self.readers[name].append(node)
        self.opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 1)
        self.valued = depending(model.graph, source)
        self._types: dict[str, int] | None = None

    def type_of(self, name: str) -> int:
        """Return the type of a tensor's numbers as ONNX numbers types; float32 where that cannot be inferred."""
        if self._types is None:
            inferred = onnx.shape_inference.infer_shapes(self.model)
            values = (*inferred.graph.value_info, *inferred.graph.output, *inferred.graph.input)
            self._types = {value.name: value.type.tensor_type.elem_type for value in values}
        return self._types.get(name) or onnx.TensorProto.FLOAT

    def constant(self, name: str) -> NDArray[Any] | None:
        """Return the values of a weight, or of what a ``Constant`` makes; None for any other tensor."""
        if name in self.initializers:
            return numpy_helper.to_array(self.initializers[name])
        node = self.makers.get(name)
        if node is None or node.op_type != "Constant":
            return None
        return next((numpy_helper.to_array(a.t) for a in node.attribute if a.name == "value"), None)

    def valued_inputs(self, node: onnx.NodeProto) -> list[str]:
        """List the inputs of a node that depend on the picture, once for each time."""
        return [name for name in read_by(node) if name in self.valued]

    def ancestors(self, names: Iterable[str]) -> list[onnx.NodeProto]:
        """List the nodes that tensors are made by, in the order of the graph."""
        needed, found = set(names), []
        for node in reversed(self.nodes):
            if needed.intersection(node.output):
                needed.update(read_by(node))
                found.append(node)
        return found[::-1]


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Return the attributes of a node by name."""
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    """Rename a tensor wherever it is made or read, in branches and loops too."""
    for node in graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name == old:
                    names[place] = new
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                rename(inner, old, new)
    for value in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
        if value.name == old:
            value.name = new
