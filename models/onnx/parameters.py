"""The nodes and the numbers that belong to each of some tensors of an ONNX graph, each counted once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import onnx

from models.onnx.graph import read_by

_NO_WEIGHTS = {onnx.TensorProto.INT64, onnx.TensorProto.BOOL, onnx.TensorProto.STRING}  # shapes, axes, flags


def owners(nodes: Iterable[onnx.NodeProto], order: Sequence[str]) -> dict[str, list[onnx.NodeProto]]:
    """Return the nodes that each tensor of ``order`` is made by, less those of the tensors before it."""
    makers = {name: node for node in nodes for name in node.output}
    seen: set[str] = set()
    owned: dict[str, list[onnx.NodeProto]] = {tensor: [] for tensor in order}
    for tensor in order:
        waiting = [tensor]
        while waiting:
            node = makers.get(waiting.pop())
            if node is not None and node.output[0] not in seen:
                seen.add(node.output[0])
                owned[tensor].append(node)
                waiting += read_by(node)
    return owned


def count_parameters(graph: onnx.GraphProto, order: Sequence[str]) -> dict[str, int]:
    """Count the numbers that the nodes of each tensor of ``order`` hold, less those that tensors before it hold."""
    sizes = {each.name: int(np.prod(each.dims)) for each in graph.initializer if each.data_type not in _NO_WEIGHTS}
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Constant" and attribute.name == "value" and attribute.t.data_type not in _NO_WEIGHTS:
                sizes[node.output[0]] = int(np.prod(attribute.t.dims))
    counted: set[str] = set()
    found = {}
    for tensor, nodes in owners(graph.node, order).items():
        held = {name for node in nodes for name in read_by(node) if name in sizes} - counted
        counted |= held
        found[tensor] = sum(sizes[name] for name in held)
    return found
