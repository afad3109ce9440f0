"""The kernels of a layer of an ONNX graph: the weights that each of its channels compares patches with."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper
from onnx.helper import get_attribute_value

from models.onnx.graph import depending, read_by
from models.onnx.layer_graph import SOURCE
from models.onnx.op import SIMILARITY
from scs.errors import OptionError

Floats = npt.NDArray[np.float32]

_KERNELS = {"Conv", SIMILARITY}
# What leaves channels apart, so that a channel behind it is still that of its kernel.
_KEEPS_CHANNELS = {
    *("Abs", "Add", "AveragePool", "BatchNormalization", "Cast", "Celu", "Clip", "Div", "Dropout", "Elu", "Erf", "Exp"),
    *("Gelu", "HardSigmoid", "HardSwish", "Identity", "InstanceNormalization", "LeakyRelu", "LpPool", "Max", "MaxPool"),
    *("Min", "Mish", "Mul", "Neg", "PRelu", "Pow", "Relu", "Selu", "Sigmoid", "Softplus", "Sqrt", "Sub", "Tanh"),
}


@dataclass(frozen=True)
class LayerKernels:
    """The kernels of a layer, and how they are laid over what they look at.

    Attributes:
        operator: ``Conv`` or ``SharpenedCosineSimilarity``.
        input: the tensor that they are laid over, ``(N, C, H, W)``.
        weights: ``(K, C / groups, kH, kW)``.
        bias: of a convolution, ``(K,)``; None where it has none.
        p: exponents of sharpened cosine similarity, ``(K,)``; None of a convolution.
        q: its noise floor; None of a convolution.
        strides: down and across.
        dilations: likewise.
        pads: zeros above, left, below and right; None where they depend on the picture's size.
        groups: in how many groups the channels of the input are.
        after: operators that follow on the way to the layer.
    """

    operator: str
    input: str
    weights: Floats
    bias: Floats | None
    p: Floats | None
    q: float | None
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pads: tuple[int, int, int, int] | None
    groups: int
    after: tuple[str, ...]

    def first_input(self, channel: int) -> int:
        """Return the number of the first channel of the input that a kernel looks at."""
        count, each = map(int, self.weights.shape[:2])
        return channel // (count // self.groups) * each


def find_kernels(graph: onnx.GraphProto, name: str, tensor: str, layers: Collection[str]) -> LayerKernels:
    """Find the kernels that make a layer, with nothing but activations, scales and pooling in between.

    Args:
        graph: its nodes in an order in which they can be run.
        name: of the layer, for messages.
        tensor: that shows it.
        layers: the tensors of all layers.

    Raises:
        OptionError: it has none: it pools another layer, adds several, or is made by something else.
    """
    makers = {output: place for place, node in enumerate(graph.node) for output in node.output if output}
    moving = depending(graph, SOURCE)
    ends, between = set[str](), set[int]()
    waiting = [tensor]
    while waiting:
        each = waiting.pop()
        node = graph.node[makers[each]] if each in makers else None
        is_between = node is not None and node.op_type in _KEEPS_CHANNELS and (each == tensor or each not in layers)
        if node is None or not is_between:
            ends.add(each)
        elif makers[each] not in between:
            between.add(makers[each])
            waiting += [read for read in read_by(node) if read in moving]
    after = tuple(graph.node[place].op_type for place in sorted(between))
    makes = [graph.node[makers[end]] if end in makers else None for end in ends]
    if len(makes) == 1 and makes[0] is not None and makes[0].op_type in _KERNELS and not ends & set(layers) - {tensor}:
        return _read(makes[0], constants(graph), name, after)
    made_by = dict.fromkeys(after) or tuple(graph.node[makers[each]].op_type for each in ends if each in makers)
    raise OptionError(
        f"{name} has no kernels of its own: it is made by {', '.join(made_by) or 'nothing'}, not by a convolution or "
        "sharpened cosine similarity alone"
    )


def constants(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """Return the tensors that a graph holds, by name."""
    held = {each.name: each for each in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            values = [attribute.t for attribute in node.attribute if attribute.name == "value"]
            held |= dict(zip(node.output, values, strict=False))  # other attributes hold single numbers
    return held


def _read(node: onnx.NodeProto, held: dict[str, onnx.TensorProto], name: str, after: tuple[str, ...]) -> LayerKernels:
    missing = [each for each in node.input[1:] if each and each not in held]
    if missing:
        raise OptionError(f"the kernels of {name} are computed by its graph, and not held by the file")
    x, w, *others = node.input
    given = {attribute.name: get_attribute_value(attribute) for attribute in node.attribute}
    weights = _floats(held[w])
    if weights.ndim != 4:
        raise OptionError(f"the kernels of {name} need two axes, down and across; they have {weights.ndim - 2}")
    numbers = [_floats(held[each]) if each else None for each in others]
    is_similarity = node.op_type == SIMILARITY
    auto = given.get("auto_pad", b"NOTSET")
    top, left, bottom, right = given.get("pads") or (0, 0, 0, 0)
    return LayerKernels(
        operator=node.op_type,
        input=x,
        weights=weights,
        bias=None if is_similarity or not numbers else numbers[0],
        p=None if not is_similarity or numbers[0] is None else np.broadcast_to(numbers[0].ravel(), len(weights)),
        q=None if not is_similarity or numbers[1] is None else float(numbers[1].ravel()[0]),
        strides=tuple(given.get("strides", (1, 1))),
        dilations=tuple(given.get("dilations", (1, 1))),
        pads=(top, left, bottom, right) if auto in (b"NOTSET", b"VALID") else None,
        groups=given.get("group", 1),
        after=after,
    )


def _floats(tensor: onnx.TensorProto) -> Floats:
    return numpy_helper.to_array(tensor).astype(np.float32)
