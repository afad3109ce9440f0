"""Operator fusion: what follows an SCS layer becomes part of it, as runtimes fuse a convolution and a ReLU.

A layer takes in a gain and a bias, one number or one for each kernel, and pooling of 2x2 by the largest or by the
largest magnitude. The power rises with the cosine, so pooling may come first, and three quarters of the powers need not
be taken. Only the native kernels have these inputs and attributes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from models.onnx.graph import count_uses, keep_only, needed_nodes
from models.onnx.op import DOMAIN, SIMILARITY

_GAIN, _BIAS = 4, 5  # places among the op's inputs that the native kernel has beyond those of the function


def join_layers(graph: onnx.GraphProto) -> None:
    """Fuse what follows each SCS layer of a graph into it, in place; outputs of the graph keep names and values."""
    _Joiner(graph).join()


class _Joiner:
    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.outputs = {output.name for output in graph.output}
        self.makers = {name: node for node in graph.node for name in node.output}
        self.uses = count_uses(graph)

    def join(self) -> None:
        for node in self.graph.node:
            if node.op_type in ("Mul", "Add"):
                self._join_factor(node)
            elif node.op_type == "MaxPool":
                self._join_pool(node, node.input[0], {node.output[0]})
            elif node.op_type == "Where":
                self._join_max_abs_pool(node)
        keep_only(self.graph, needed_nodes(self.graph))

    def _layer(self, name: str, uses: int = 1) -> onnx.NodeProto | None:
        """Return the SCS layer that makes a tensor, or None where it is pooled already or the tensor has other uses."""
        node = self.makers.get(name)
        is_layer = node is not None and (node.domain, node.op_type) == (DOMAIN, SIMILARITY)
        if not is_layer or self.uses[name] != uses or name in self.outputs or _is_pooled(node):
            return None
        return node

    def _join_factor(self, node: onnx.NodeProto) -> None:
        for name, other in (node.input, reversed(node.input)):
            layer, values = self._layer(name), self.constants.get(other)
            if layer is None or values is None or layer.input[1] not in self.constants:
                continue
            per_kernel = _per_kernel(numpy_helper.to_array(values), self.constants[layer.input[1]].dims[0])
            if per_kernel is None:
                continue
            gain, bias = self._value(layer, _GAIN), self._value(layer, _BIAS)
            if node.op_type == "Mul":
                self._set(layer, _GAIN, per_kernel if gain is None else gain * per_kernel)
                if bias is not None:
                    self._set(layer, _BIAS, bias * per_kernel)
            else:
                self._set(layer, _BIAS, per_kernel if bias is None else bias + per_kernel)
            self._take_over(layer, node.output[0])
            return

    def _join_pool(self, node: onnx.NodeProto, name: str, ends: set[str], by_magnitude: bool = False) -> None:
        layer = self._layer(name, uses=2 if by_magnitude else 1)
        if layer is None or not _halves(node) or (by_magnitude and len(layer.input) > _BIAS):
            return
        layer.attribute.append(helper.make_attribute("pool", 2))
        layer.attribute.append(helper.make_attribute("pool_by_magnitude", int(by_magnitude)))
        for end in ends:
            self._take_over(layer, end)

    def _join_max_abs_pool(self, node: onnx.NodeProto) -> None:
        """Fuse ``MaxAbsPool2d``: where(highest >= -lowest, highest, lowest), lowest = -max_pool(-x)."""
        condition, high, low = node.input
        compared = self._made(condition, "GreaterOrEqual")
        highest = self._made(high, "MaxPool")
        lowest = self._made(self._negated(low), "MaxPool")
        if compared is None or highest is None or lowest is None or compared.input[0] != high:
            return
        if self._negated(compared.input[1]) != low or self._negated(lowest.input[0]) != highest.input[0]:
            return
        inner = {condition, high, low, lowest.output[0], compared.input[1], lowest.input[0]}
        if _halves(highest) and _halves(lowest) and not inner & self.outputs:
            self._join_pool(highest, highest.input[0], {node.output[0]}, by_magnitude=True)

    def _made(self, name: str | None, op_type: str) -> onnx.NodeProto | None:
        node = self.makers.get(name or "")
        return node if node is not None and node.op_type == op_type else None

    def _negated(self, name: str) -> str | None:
        node = self._made(name, "Neg")
        return node.input[0] if node is not None else None

    def _value(self, layer: onnx.NodeProto, place: int) -> npt.NDArray[np.float32] | None:
        if len(layer.input) <= place or not layer.input[place]:
            return None
        return numpy_helper.to_array(self.constants[layer.input[place]])

    def _set(self, layer: onnx.NodeProto, place: int, values: npt.NDArray[np.float32]) -> None:
        while len(layer.input) <= place:
            layer.input.append("")
        name = f"{layer.output[0]}/{'gain' if place == _GAIN else 'bias'}/{len(self.constants)}"
        tensor = numpy_helper.from_array(values, name)
        self.graph.initializer.append(tensor)
        self.constants[name] = tensor
        layer.input[place] = name

    def _take_over(self, layer: onnx.NodeProto, name: str) -> None:
        """Make a tensor the output of the layer, in place of the node that made it, which is removed at the end."""
        self.makers[name].output[0] = f"{name}/joined"
        layer.output[0] = name
        self.makers[name] = layer


def _is_pooled(node: onnx.NodeProto | None) -> bool:
    return node is not None and any(attribute.name == "pool" for attribute in node.attribute)


def _halves(node: onnx.NodeProto) -> bool:
    """Return whether a MaxPool is 2x2 with a stride of 2, without padding or dilation."""
    given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    wanted = {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [0, 0, 0, 0], "dilations": [1, 1], "ceil_mode": 0}
    usual = {"pads": [0, 0, 0, 0], "dilations": [1, 1], "ceil_mode": 0}
    same = all(given.get(name, usual.get(name)) == value for name, value in wanted.items())
    return same and given.get("auto_pad", b"NOTSET") == b"NOTSET" and len(node.output) == 1


def _per_kernel(values: npt.NDArray[np.float32], kernels: int) -> npt.NDArray[np.float32] | None:
    """Return a constant as one number for each kernel, or None where it varies over images or places."""
    if values.dtype != np.float32:
        return None
    if values.size == 1 and values.ndim <= 4:
        return np.full(kernels, values.reshape(()), np.float32)
    if values.shape in ((kernels, 1, 1), (1, kernels, 1, 1)):
        return values.reshape(kernels)
    return None
