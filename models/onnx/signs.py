"""Tensors that are never negative, whatever the picture."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

_NEVER = {"Abs", "Exp", "HardSigmoid", "Relu", "Sigmoid", "Softmax", "Softplus", "Sqrt"}
# These return values of their first input, or means of them.
_HANDING_ON = {
    "AveragePool",
    "Cast",
    "DepthToSpace",
    "Dropout",
    "Flatten",
    "Gather",
    "GlobalAveragePool",
    "GlobalMaxPool",
}
_HANDING_ON |= {"Identity", "MaxPool", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"}
_TOGETHER = {"Add", "Concat", "Max", "Mul", "Sum"}  # of inputs none of which is negative


def never_negative(graph: onnx.GraphProto, tensor: str) -> bool:
    """Return whether the operators that make a tensor keep it from being negative; False where that is not plain."""
    makers = {name: node for node in graph.node for name in node.output}
    constants = {each.name: each for each in graph.initializer} | {
        node.output[0]: node.attribute[0].t
        for node in graph.node
        if node.op_type == "Constant" and node.attribute[0].name == "value"
    }
    waiting, seen = [tensor], {tensor}
    while waiting:
        name = waiting.pop()
        node = makers.get(name)
        if name in constants:
            values = numpy_helper.to_array(constants[name])
            if values.dtype.kind not in "fiu" or values.min(initial=0) < 0:
                return False
            continue
        if node is None:
            return False
        if node.op_type in _NEVER or (node.op_type == "Clip" and _least(node, constants) >= 0):
            continue
        if node.op_type not in _HANDING_ON | _TOGETHER:
            return False
        inputs = node.input[:1] if node.op_type in _HANDING_ON else node.input
        waiting += [each for each in inputs if each not in seen]
        seen.update(inputs)
    return True


def _least(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> float:
    """Return what a Clip raises values to; minus infinity where that is not known."""
    for attribute in node.attribute:  # as operator sets below 11 have it
        if attribute.name == "min":
            return float(helper.get_attribute_value(attribute))
    if len(node.input) > 1 and node.input[1] in constants:
        return float(numpy_helper.to_array(constants[node.input[1]]))
    return -np.inf
