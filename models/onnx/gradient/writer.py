"""The nodes of a reverse pass while it is written, and the graph's own nodes as its rules read them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import helper, numpy_helper


class NoRuleError(Exception):
    """A node that cannot be differentiated in the way it is used; the message says what of it."""


@dataclass(frozen=True)
class Node:
    """A node of the graph, with the gradients that have come back to its outputs.

    Attributes:
        proto: the node.
        inputs: names of its inputs; ``""`` for one that was left out.
        outputs: names of its outputs, likewise.
        gradients: of its outputs, by name; None where none came back.
        wanted: places of the inputs whose gradients are needed.
    """

    proto: onnx.NodeProto
    inputs: Sequence[str]
    outputs: Sequence[str]
    gradients: Sequence[str | None]
    wanted: Collection[int]

    @property
    def x(self) -> str:
        """The first input."""
        return self.inputs[0]

    @property
    def y(self) -> str:
        """The first output."""
        return self.outputs[0]

    @property
    def g(self) -> str:
        """The gradient of the first output."""
        gradient = self.gradients[0]
        if gradient is None:
            raise NoRuleError("a second output that is used")
        return gradient

    def attribute(self, name: str, default: Any = None) -> Any:
        """Return an attribute's value, or a default where it was left out."""
        for attribute in self.proto.attribute:
            if attribute.name == name:
                return helper.get_attribute_value(attribute)
        return default

    def input(self, place: int) -> str:
        """Return the name of an input, ``""`` where it was left out."""
        return self.inputs[place] if place < len(self.inputs) else ""


class Writer:
    """Writes the nodes of a reverse pass behind those of a graph.

    Args:
        graph: the graph; its nodes are not changed.
    """

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.ranks = {tensor.name: len(tensor.dims) for tensor in graph.initializer}
        self._sizes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
        self._shapes: dict[str, str] = {}

    def add(self, operation: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output, and return the output's name."""
        name = f"gradient/{len(self.nodes)}"
        self.nodes.append(helper.make_node(operation, inputs, [name], **attributes))
        return name

    def copy(self, node: Node, inputs: dict[int, str], outputs: int = 1, **changed: Any) -> list[str]:
        """Add a copy of a node, with other inputs at some places and other attributes, and return its outputs."""
        names = [f"gradient/{len(self.nodes)}/{i}" for i in range(outputs)]
        given = [inputs.get(i, name) for i, name in enumerate(node.inputs)]
        copied = helper.make_node(node.proto.op_type, given, names)
        copied.attribute.extend(each for each in node.proto.attribute if each.name not in changed)
        copied.attribute.extend(helper.make_attribute(name, value) for name, value in changed.items())
        self.nodes.append(copied)
        return names

    def constant(self, values: ArrayLike, dtype: type = np.int64) -> str:
        """Add a constant tensor and return its name."""
        name = f"gradient/constant/{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def number(self, value: float, like: str) -> str:
        """Return a scalar of the type of another tensor."""
        return self.add("CastLike", self.constant(value, np.float32), like)

    def shape(self, tensor: str) -> str:
        """Return the shape of a tensor, 1-D."""
        if tensor not in self._shapes:
            self._shapes[tensor] = self.add("Shape", tensor)
        return self._shapes[tensor]

    def size(self, tensor: str) -> str:
        """Return how many numbers a tensor has, 1-D of one."""
        return self.add("Reshape", self.add("Size", tensor), self.constant([1]))

    def kernel_size(self, weights: str) -> list[int]:
        """Return the height and width of constant kernels ``(K, C, kH, kW)``.

        Raises:
            NoRuleError: they are no constant.
        """
        if weights not in self._sizes:
            raise NoRuleError("kernels that are no constant")
        return self._sizes[weights][2:]

    def zeros(self, size: str, like: str) -> str:
        """Return zeros of a size (1-D) and of the type of another tensor."""
        return self.add("Expand", self.number(0, like), size)

    def flat(self, tensor: str) -> str:
        """Return a tensor as 1-D."""
        return self.add("Reshape", tensor, self.constant([-1]))

    def like(self, gradient: str, tensor: str) -> str:
        """Return a gradient in the shape of a tensor of as many numbers."""
        return self.add("Reshape", gradient, self.shape(tensor))

    def where(self, condition: str, gradient: str) -> str:
        """Return a gradient where a condition holds, and zero elsewhere."""
        return self.add("Where", condition, gradient, self.number(0, gradient))

    def product(self, *factors: str) -> str:
        """Return the product of tensors."""
        first, *others = factors
        for other in others:
            first = self.add("Mul", first, other)
        return first

    def unbroadcast(self, gradient: str, tensor: str) -> str:
        """Sum a gradient over the axes along which a tensor was broadcast to its shape."""
        given, wanted = self.add("Shape", gradient), self.shape(tensor)
        missing = self.add("Sub", self.size(given), self.size(wanted))
        one = numpy_helper.from_array(np.ones(1, np.int64))
        padded = self.add("Concat", self.add("ConstantOfShape", missing, value=one), wanted, axis=0)
        differs = self.add("Not", self.add("Equal", padded, given))
        summed = self.add("ReduceSum", gradient, self.flat(self.add("NonZero", differs)), noop_with_empty_axes=1)
        return self.add("Reshape", summed, wanted)
