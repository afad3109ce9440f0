"""The graph of a network's layers: which layer feeds which, and by what operators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import onnx

from models.onnx.graph import JOINING, SIZES, depending, read_by

SOURCE, LOGITS = "image", "logits"


@dataclass(frozen=True)
class Edge:
    """A way from one tensor to another, along which no other tensor of the graph of layers lies.

    Attributes:
        source: the tensor that it starts from.
        target: the tensor that it leads to.
        operators: from the first that reads the source to the one that makes the target.
    """

    source: str
    target: str
    operators: tuple[str, ...]


@dataclass(frozen=True)
class LayerGraph:
    """The tensors of a network that are shown, in the order in which they are made, and the ways between them.

    Attributes:
        tensors: the picture, layers, logits, and what joins several of their branches: a sum, or maps side by side.
        joins: the operator of each tensor that is there because it joins branches.
        edges: by target, in the order of ``tensors``; a join has one for each of its branches.
    """

    tensors: tuple[str, ...]
    joins: Mapping[str, str]
    edges: tuple[Edge, ...]


def layer_graph(graph: onnx.GraphProto, targets: Sequence[str]) -> LayerGraph:
    """Find out how tensors of an ONNX graph depend on one another and on its input ``image``.

    A sum or a concatenation of several branches on the way becomes a tensor of its own, so that a skip connection is
    an edge.

    Args:
        graph: its nodes in an order in which they can be run.
        targets: names of the tensors, such as the layers of a card and ``logits``.
    """
    return _Reader(graph, targets).read()


class _Reader:
    def __init__(self, graph: onnx.GraphProto, targets: Sequence[str]) -> None:
        self.nodes = list(graph.node)
        self.makers = {name: place for place, node in enumerate(self.nodes) for name in node.output if name}
        self.depending = depending(graph, SOURCE)
        self.targets = [name for name in dict.fromkeys(targets) if name in self.makers]
        self.ends = {SOURCE, *self.targets}

    def read(self) -> LayerGraph:
        waiting, edges, joins = list(self.targets), list[Edge](), dict[str, str]()
        known = {SOURCE, *waiting}
        for target in waiting:  # it grows
            for edge in self.edges_to(target):
                edges.append(edge)
                if edge.source not in known:
                    known.add(edge.source)
                    joins[edge.source] = self.nodes[self.makers[edge.source]].op_type
                    waiting.append(edge.source)
        order = {name: place for place, name in enumerate(sorted(known, key=self.place_of))}
        edges.sort(key=lambda edge: (order[edge.target], order[edge.source], -len(edge.operators)))
        return LayerGraph(tuple(order), joins, tuple(edges))

    def place_of(self, name: str) -> int:
        return self.makers.get(name, -1)

    def branches(self, node: onnx.NodeProto) -> list[str]:
        return [name for name in read_by(node) if name in self.depending]

    def joins(self, name: str) -> bool:
        node = self.nodes[self.makers[name]]
        return node.op_type in JOINING and len(self.branches(node)) > 1

    def edges_to(self, target: str) -> Iterator[Edge]:
        node = self.nodes[self.makers[target]]
        branches = self.branches(node)
        for start in [[name] for name in branches] if self.joins(target) else [branches]:
            sources, between = self.back_from(start)
            for source in sorted(sources, key=self.place_of):
                operators = self.forth_from(source, between)
                yield Edge(source, target, (*operators, node.op_type))

    def back_from(self, start: list[str]) -> tuple[set[str], set[int]]:
        """Return where the ways to some tensors begin, and the places of the nodes on these ways."""
        waiting, sources, between = list(start), set[str](), set[int]()
        while waiting:
            name = waiting.pop()
            if name in self.ends or self.joins(name):
                sources.add(name)
            elif self.makers[name] not in between:
                between.add(self.makers[name])
                waiting += self.branches(self.nodes[self.makers[name]])
        return sources, between

    def forth_from(self, source: str, between: set[int]) -> list[str]:
        """List the operators among these nodes that depend on one of their sources."""
        reached, operators = {source}, []
        for node in (self.nodes[place] for place in sorted(between)):
            if node.op_type not in SIZES and reached.intersection(read_by(node)):
                reached.update(node.output)
                operators.append(node.op_type)
        return operators
