"""The choice of the layers that are worth showing, and their names."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import onnx

from models.imports.graphs import Graph
from models.imports.scopes import block_of, module_of, readable
from models.imports.trial import Measured
from models.imports.views import Axis, View
from models.onnx.graph import JOINING
from scs.errors import UnknownNameError

_MOST = 24
_REFINING = {  # operators after which a map is what its layer is known for
    *("BatchNormalization", "Clip", "Elu", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "PRelu", "Relu"),
    *("Selu", "Sigmoid", "Softplus", "Swish", "Tanh", "LayerNormalization", "InstanceNormalization"),
}
_NORMALISING = {"BatchNormalization", "LayerNormalization", "InstanceNormalization"}
_NO_MAPS = {
    "QuantizeLinear",
    "DequantizeLinear",
    "Equal",
    "Greater",
    "Less",
    "And",
    "Or",
    "Not",
    "ArgMax",
    "ArgMin",
    "Pad",
    "Reshape",
    "Transpose",
}
_RESERVED = ("logits", "class_map", "all")


@dataclass(frozen=True)
class Chosen:
    """A layer to be shown: its name on the card, the tensor that has it, and what that tensor's units see."""

    name: str
    tensor: str
    view: View


class LayerChooser:
    """The maps of a network, and which of them to show.

    Args:
        graph: the network.
        measured: a run of it.
        views: of its tensors.
        ends: the tensors that it is for: its logits, or all its outputs.
    """

    def __init__(self, graph: Graph, measured: Measured, views: dict[str, View], ends: Sequence[str]) -> None:
        self._graph, self._measured, self._views = graph, measured, views
        self._nodes = [node for node in graph.ancestors(ends) if any(name in graph.valued for name in node.output)]
        self._ends = set(ends)
        self.maps = [name for node in self._nodes for name in node.output if self._is_map(name)]
        self._order = {name: number for number, name in enumerate(self.maps)}
        self._modules = {name: module_of(graph, name) for name in self.maps}

    def named(self, names: Sequence[str]) -> list[Chosen]:
        """Return the layers that were asked for, by the name of a tensor or of the module that made it.

        Raises:
            UnknownNameError: there is none; the message names some.
        """
        chosen = []
        for name in names:
            fits = [tensor for tensor in self.maps if tensor == name or readable(tensor) == name]
            path = [t for t in self.maps if f"{readable(self._modules[t])}.".startswith(f"{name}.")]
            if not fits and not path:
                known = ", ".join(dict.fromkeys(readable(self._modules[t]) or t for t in self.maps))
                raise UnknownNameError(f"no layer or tensor '{name[:60]}' with maps; there are: {known[:600]}")
            chosen.append((readable(name) or "layer", (fits or path)[-1]))
        return self._told_apart(chosen)

    def worth_showing(self) -> list[Chosen]:
        """Choose the last map of each resolution, sums of residual blocks, and the last map of each numbered block."""
        line = self._without_forerunners(self._bottlenecks())
        blocks = self._last_of_blocks(line)
        wished = {name for name in line if self._joins(name)} | set(blocks.values())
        shown = {self._size(name) for name in wished}
        ends = [name for name, after in itertools.zip_longest(line, line[1:]) if self._ends_size(name, after)]
        needed = {*line[:1], *line[-1:], *(name for name in ends if self._size(name) not in shown)}
        seen = {self._size(name) for name in needed | wished}
        off = {
            self._size(name): name for name in self.maps if self._size(name) not in seen
        }  # the last, as a detector's
        needed.update(off.values())
        return self._told_apart(
            [(self._name_of(name, blocks), name) for name in self._thinned(needed, wished - needed)]
        )

    def _ends_size(self, name: str, after: str | None) -> bool:
        """Return whether a map is the last of its resolution."""
        return after is None or self._size(name) != self._size(after)

    def _is_map(self, name: str) -> bool:
        view, node = self._views.get(name), self._graph.makers[name]
        if view is None or node.op_type in _NO_MAPS:
            return False
        roles = "".join(sorted(view.roles))
        shape = self._measured.shapes[name]
        if view.down == Axis() and math.prod(shape) == math.prod(self._measured.shapes[self._graph.source]):
            return False  # the picture itself, cast or scaled
        if roles == "chnw" and view.roles[0] == "n":
            places = [shape[view.roles.index(role)] for role in "hw"]
            return max(places) > 1
        return view.roles in (("n", "t", "c"), ("n", "c", "t")) and view.grid is not None

    def _size(self, name: str) -> tuple[int, int]:
        """Return rows and columns of a map."""
        view, shape = self._views[name], self._measured.shapes[name]
        if view.grid is not None and "t" in view.roles:
            return view.grid.rows, view.grid.columns
        return shape[view.roles.index("h")], shape[view.roles.index("w")]

    def _bottlenecks(self) -> list[str]:
        """List the maps that everything passes through: the only tensor that is left at some point of a run."""
        valued = self._graph.valued
        reads = Counter(name for node in self._nodes for name in set(self._graph.valued_inputs(node)))
        live, found = {self._graph.source}, []
        for node in self._nodes:
            for name in set(self._graph.valued_inputs(node)):
                reads[name] -= 1
                if not reads[name] and name not in self._ends:
                    live.discard(name)
            live.update(name for name in node.output if name in valued and (reads[name] or name in self._ends))
            if len(live) == 1 and (name := next(iter(live))) in self._order and name not in found:
                found.append(name)
        return found

    def _without_forerunners(self, line: list[str]) -> list[str]:
        """Leave out maps after which an activation or normalisation comes at once, for what these make of them."""
        return [name for name, after in itertools.zip_longest(line, line[1:]) if not self._is_refined(name, after)]

    def _is_refined(self, name: str, after: str | None) -> bool:
        if after is None or self._ends_size(name, after):
            return False
        made = self._graph.makers[after]
        if made.op_type in _REFINING and made.input[0] == name and not self._joins_anything(name):
            return True
        # x * sigmoid(x), which exporters write for swish
        return (
            made.op_type == "Mul" and name in made.input and not self._joins_anything(name) and self._gated(made, name)
        )

    def _joins_anything(self, name: str) -> bool:
        """Return whether a map is a sum of others that is read again, as a residual sum without an activation is."""
        return self._joins(name) and len(self._graph.readers[name]) > 1

    def _gated(self, node: onnx.NodeProto, name: str) -> bool:
        others = [self._graph.makers.get(other) for other in node.input if other != name]
        return len(others) == 1 and others[0] is not None and list(others[0].input) == [name]

    def _joins(self, name: str) -> bool:
        """Return whether a map, or what it is the activation of, is made of several maps."""
        node = self._graph.makers[name]
        if node.op_type in _REFINING and node.input[0] in self._graph.makers:
            node = self._graph.makers[node.input[0]]
        return node.op_type in JOINING and sum(each in self._order for each in node.input) > 1

    def _last_of_blocks(self, line: Sequence[str]) -> dict[str, str]:
        """Return the last map of each numbered block, on the line where there is one."""
        last: dict[str, str] = {}
        for names in (self.maps, line):
            for name in names:
                if block := block_of(self._modules[name]):
                    last[block] = name
        return last

    def _thinned(self, needed: set[str], wished: set[str]) -> list[str]:
        """Return layers in the order of the network, at most so many, leaving out of those wished every so-many-th."""
        room = max(0, _MOST - len(needed))
        ordered = sorted(wished, key=self._order.__getitem__)
        if len(ordered) > room:
            ordered = [ordered[round(i * (len(ordered) - 1) / max(1, room - 1))] for i in range(room)]
        return sorted({*needed, *ordered}, key=self._order.__getitem__)

    def _name_of(self, name: str, blocks: dict[str, str]) -> str:
        """Return the block's name of its last map, else the module's, else one by the map's size."""
        module = self._modules[name]
        block = block_of(module)
        if block and blocks.get(block) == name:
            return readable(block)
        node = self._graph.makers[name]
        if (
            node.op_type not in _NORMALISING and node.op_type in _REFINING and self._modules.get(node.input[0])
        ):  # called by the layer, not its activation
            module = self._modules[node.input[0]]
        if module:
            return readable(f"{module}.{node.op_type.lower()}" if module == block else module)
        rows, columns = self._size(name)
        return f"maps{columns}x{rows}"

    def _told_apart(self, chosen: Sequence[tuple[str, str]]) -> list[Chosen]:
        """Give each layer a name of its own, and none that means something else to the service."""
        counts, seen = Counter(name for name, _ in chosen), Counter[str]()
        layers = []
        for name, tensor in chosen:
            seen[name] += 1
            alone = counts[name] == 1 and name not in _RESERVED
            layers.append(Chosen(name if alone else f"{name}.{seen[name]}", tensor, self._views[tensor]))
        return layers
