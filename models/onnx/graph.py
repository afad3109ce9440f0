"""What the nodes of an ONNX graph read, those in branches and loops too, and what nobody reads."""

from __future__ import annotations

from collections import Counter

import onnx


def read_by(node: onnx.NodeProto) -> list[str]:
    """Names of the tensors that a node reads, once for each time; its branches and loops read what lies outside."""
    graphs = [graph for attribute in node.attribute for graph in (attribute.g, *attribute.graphs)]
    inner = [name for graph in graphs for each in graph.node for name in read_by(each)]
    return [*node.input, *inner, *(output.name for graph in graphs for output in graph.output)]


def count_uses(graph: onnx.GraphProto) -> Counter[str]:
    """How often each tensor is read; to be an output of the graph counts, too."""
    read = Counter(name for node in graph.node for name in read_by(node))
    read.update(output.name for output in graph.output)
    return read


def needed_nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes that an output of the graph needs, in their order."""
    needed = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(read_by(node))
            kept.append(node)
    return kept[::-1]


def keep_only(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    """Leave these nodes in a graph, and of its constants those that are read."""
    del graph.node[:]
    graph.node.extend(nodes)
    read = count_uses(graph)
    constants = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(constants)
