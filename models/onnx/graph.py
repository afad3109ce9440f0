"""Use counts and dead-code elimination for ONNX graphs, branches and loops included."""

from __future__ import annotations

from collections import Counter

import onnx

JOINING = {"Add", "Sum", "Concat"}  # what branches of a network come together in
SIZES = {"Shape", "Size"}  # what these return depends on the picture's size alone
_SAME_VALUES = {"Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"}


def read_by(node: onnx.NodeProto) -> list[str]:
    """List the tensors that a node reads, once for each time, with those that its branches and loops read."""
    graphs = [graph for attribute in node.attribute for graph in (attribute.g, *attribute.graphs)]
    inner = [name for graph in graphs for each in graph.node for name in read_by(each)]
    return [*node.input, *inner, *(output.name for graph in graphs for output in graph.output)]


def count_uses(graph: onnx.GraphProto) -> Counter[str]:
    """Count how often each tensor is read; being an output of the graph counts as one time."""
    read = Counter(name for node in graph.node for name in read_by(node))
    read.update(output.name for output in graph.output)
    return read


def needed_nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """List the nodes that any output of the graph needs, in their order."""
    needed = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(read_by(node))
            kept.append(node)
    return kept[::-1]


def depending(graph: onnx.GraphProto, source: str) -> set[str]:
    """Collect the tensors that depend on the values of an input, not on its size alone, with the input itself."""
    found = {source}
    for node in graph.node:
        if node.op_type not in SIZES and found.intersection(read_by(node)):
            found.update(name for name in node.output if name)
    return found


def keep_only(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    """Remove all nodes of a graph but these, and the constants (initializers) that are then not read."""
    del graph.node[:]
    graph.node.extend(nodes)
    read = count_uses(graph)
    constants = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(constants)


def ends_in_sigmoid(graph: onnx.GraphProto, tensor: str) -> bool:
    """Return whether a tensor is what a sigmoid made, but for changes of its shape or its type."""
    makers = {name: node for node in graph.node for name in node.output}
    node = makers.get(tensor)
    while node is not None and node.op_type in _SAME_VALUES and node.input:
        node = makers.get(node.input[0])
    return node is not None and node.op_type in ("Sigmoid", "HardSigmoid")
