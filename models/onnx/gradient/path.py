"""The nodes through which a tensor of a graph has an influence on one of its outputs."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

import onnx
from onnx import TensorProto, helper

from models.onnx.gradient.rules import STOPS
from models.onnx.graph import read_by

_FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE}


@dataclass(frozen=True)
class Path:
    """Nodes in their order, and the tensors that they hand on."""

    nodes: Sequence[onnx.NodeProto]
    tensors: Set[str]


def path_between(graph: onnx.GraphProto, tensor: str, output: str) -> Path:
    """Return the path from a tensor to an output; it has no nodes where there is none."""
    reached = {tensor}
    for node in graph.node:
        if not _stops(node) and reached.intersection(read_by(node)):
            reached.update(node.output)
    nodes, needed = [], {output}
    for node in reversed(graph.node):
        if not _stops(node) and needed.intersection(node.output) and reached.intersection(read_by(node)):
            nodes.append(node)
            needed.update(read_by(node))
    return Path(nodes[::-1], reached & needed)


def upstream(graph: onnx.GraphProto, output: str) -> set[str]:
    """Return all tensors that have an influence on an output."""
    needed = {output}
    for node in reversed(graph.node):
        if not _stops(node) and needed.intersection(node.output):
            needed.update(read_by(node))
    return needed


def operator_of(node: onnx.NodeProto) -> str:
    """Return the name of a node's operator, with its domain if that is not ONNX's own."""
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}::{node.op_type}"


def _stops(node: onnx.NodeProto) -> bool:
    """Return whether small changes of a node's inputs never change what it returns."""
    if node.op_type == "Cast":
        return next((helper.get_attribute_value(a) for a in node.attribute if a.name == "to"), 0) not in _FLOATS
    return operator_of(node) in STOPS
