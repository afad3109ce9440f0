"""Tensors that are shown but lead nowhere: other tensors, moved, as a transformer's tokens are laid out as maps."""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from models.onnx.gradient.path import operator_of, upstream
from models.onnx.gradient.writer import Writer
from scs.errors import GradientError

_VIEWS = {"Cast", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"}


def source_of(graph: onnx.GraphProto, tensor: str, output: str) -> tuple[str, list[onnx.NodeProto]]:
    """Return the tensor nearest to one that an output comes from, and the nodes that lead from it to that one.

    Raises:
        GradientError: there is none.
    """
    makers = {name: node for node in graph.node for name in node.output}
    useful = upstream(graph, output)
    views: list[onnx.NodeProto] = []
    source = tensor
    while source not in useful:
        node = makers.get(source)
        if node is None or operator_of(node) not in _VIEWS:
            raise GradientError(f"a gradient by {tensor} needs an output that depends on it; {output} does not")
        views.append(node)
        source = node.input[0]
    return source, views[::-1]


def viewed(writer: Writer, views: Sequence[onnx.NodeProto], source: str, gradient: str) -> str:
    """Move a gradient as its tensor is moved, and return the name of what comes of it."""
    moved = {source: gradient}
    for number, node in enumerate(views):
        copied = onnx.NodeProto()
        copied.CopyFrom(node)
        copied.input[0] = moved[node.input[0]]
        copied.output[0] = moved[node.output[0]] = f"gradient/view/{number}"
        copied.name = ""
        writer.nodes.append(copied)
    return moved[views[-1].output[0]] if views else gradient
