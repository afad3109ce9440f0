"""Fusion of linear neighbours in an ONNX graph into one convolution, where it is exact and the file does not grow.

Convolutions, batch normalisation and constants that are multiplied or added channel by channel are linear, and two in a
row are one convolution (:func:`scs.stacks.compose_layers`). Two things stand in the way. Zero padding: a second layer
that pads its input pads what the first one made, so the first must make zeros of zeros. And size: a depthwise
convolution with a pointwise one after it is exactly one dense convolution, but one with several times the weights.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from models.onnx.graph import count_uses, keep_only
from scs.stacks import compose_layers

Array = NDArray[np.float64]


def composed(content: bytes, kept: Collection[str]) -> bytes:
    """Fuse the linear neighbours in an ONNX file, such as a convolution and a batch normalisation.

    Args:
        content: the file.
        kept: names of tensors that stay, with their values, beside the outputs of the graph.

    Returns:
        A file with the same outputs, to rounding; the same file where there is nothing to merge.
    """
    model = onnx.load_from_string(content)
    if not _Composer(model.graph, kept).compose():
        return content
    onnx.checker.check_model(model, full_check=True)
    merged: bytes = model.SerializeToString()
    return merged


@dataclass(frozen=True)
class _Layer:
    """A convolution (cross-correlation) with kernels ``(K, C, H, W)``, zero padding, strides and a bias."""

    kernels: Array
    bias: Array
    numbers: int  # how many the file stores for it
    pads: tuple[int, ...] = (0, 0, 0, 0)
    strides: tuple[int, ...] = (1, 1)

    def then(self, second: _Layer) -> _Layer | None:
        """Fuse this layer and the one after it, or return None where that is not exact or takes more numbers."""
        makes_zeros_of_zeros = self.kernels.shape[2:] == (1, 1) and not self.bias.any() and not any(self.pads)
        if any(second.pads) and not makes_zeros_of_zeros or len(set(self.strides)) > 1:
            return None
        kernels = compose_layers(self.kernels, second.kernels, self.strides[0])
        bias = second.bias + second.kernels.sum((2, 3)) @ self.bias
        numbers = kernels.size + (bias.size if bias.any() else 0)
        if numbers > self.numbers + second.numbers:
            return None
        strides = tuple(a * b for a, b in zip(self.strides, second.strides, strict=True))
        return _Layer(kernels, bias, numbers, second.pads if any(second.pads) else self.pads, strides)


class _Composer:
    def __init__(self, graph: onnx.GraphProto, kept: Collection[str]) -> None:
        self.graph = graph
        self.constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self.makers = {name: node for node in graph.node for name in node.output}
        self.uses = count_uses(graph)
        self.uses.update(kept)

    def compose(self) -> bool:
        """Merge what can be merged, and return whether anything was."""
        before = len(self.graph.node)
        for node in list(self.graph.node):
            while node.op_type == "Conv" and self._merge_into(node):
                pass
        keep_only(self.graph, list(self.graph.node))
        return len(self.graph.node) < before

    def _merge_into(self, convolution: onnx.NodeProto) -> bool:
        """Merge what comes before a convolution into it, and return whether that was possible."""
        second = self._convolution(convolution)
        before = self._before(convolution)
        if second is None or before is None:
            return False
        channels = second.kernels.shape[1]
        first = self._layer(before, channels)
        if first is not None and (merged := first.then(second)):
            self._set(convolution, self._data(before), merged)
            self.graph.node.remove(before)
            return True
        # An addition before zero padding has to stay, a factor before it need not: a x + b is a (x + b / a).
        multiplied = self._before(before)
        if first is None or multiplied is None or (before.op_type, multiplied.op_type) != ("Add", "Mul"):
            return False
        scale = self._layer(multiplied, channels)
        if scale is None or not (factors := np.diagonal(scale.kernels[:, :, 0, 0])).all():
            return False
        if (merged := scale.then(second)) is None:
            return False
        del before.input[:]
        shift = self._constant(f"{before.output[0]}/shift", (first.bias / factors).reshape(-1, 1, 1))
        before.input.extend([self._data(multiplied), shift])
        self._set(convolution, before.output[0], merged)
        self.graph.node.remove(multiplied)
        return True

    def _before(self, node: onnx.NodeProto) -> onnx.NodeProto | None:
        """Return the node that makes the input of a node, if nothing else reads that input."""
        name = self._data(node)
        return self.makers.get(name) if self.uses[name] == 1 else None

    def _data(self, node: onnx.NodeProto) -> str:
        """Return the name of the input of a node that is not a constant."""
        return next((name for name in node.input if name not in self.constants), "")

    def _layer(self, node: onnx.NodeProto, channels: int) -> _Layer | None:
        """Return a node with so many output channels as a layer, or None where it is not linear."""
        if node.op_type == "Conv":
            return self._convolution(node)
        given = [self.constants[name].astype(np.float64) for name in node.input if name in self.constants]
        if node.op_type == "BatchNormalization" and len(given) == 4:
            gain, bias, mean, variance = given
            scale = gain / np.sqrt(variance + _attributes(node).get("epsilon", 1e-5))
            return _each_channel(scale, bias - scale * mean, 4 * channels)
        if node.op_type in ("Mul", "Add") and len(given) == 1:
            if given[0].size != 1 and given[0].shape not in ((channels, 1, 1), (1, channels, 1, 1)):
                return None
            values = np.broadcast_to(given[0].reshape(-1), channels)
            neutral = np.ones(channels) if node.op_type == "Add" else np.zeros(channels)
            scale, shift = (values, neutral) if node.op_type == "Mul" else (neutral, values)
            return _each_channel(scale, shift, given[0].size)
        return None

    def _convolution(self, node: onnx.NodeProto) -> _Layer | None:
        """Return a convolution as a layer, or None where it is grouped, dilated or its kernels are not constants."""
        options = _attributes(node)
        weights = [self.constants[name].astype(np.float64) for name in node.input[1:] if name in self.constants]
        windows = options.get("group", 1), options.get("auto_pad", b"NOTSET"), *options.get("dilations", [1, 1])
        if windows != (1, b"NOTSET", 1, 1) or len(weights) != len(node.input) - 1 or weights[0].ndim != 4:
            return None
        kernels, bias = (*weights, np.zeros(len(weights[0])))[:2]
        pads, strides = options.get("pads", [0] * 4), options.get("strides", [1] * 2)
        return _Layer(kernels, bias, sum(each.size for each in weights), tuple(pads), tuple(strides))

    def _set(self, node: onnx.NodeProto, source: str, layer: _Layer) -> None:
        """Replace a node by the convolution of the tensor ``source`` with a layer, in place."""
        name = node.output[0]
        del node.input[:], node.attribute[:]
        node.input.extend([source, self._constant(f"{name}/kernels", layer.kernels)])
        if layer.bias.any():
            node.input.append(self._constant(f"{name}/bias", layer.bias))
        options = {
            "kernel_shape": layer.kernels.shape[2:],
            "pads": layer.pads,
            "strides": layer.strides,
            "dilations": (1, 1),
            "group": 1,
        }
        node.attribute.extend(helper.make_attribute(key, value) for key, value in options.items())

    def _constant(self, name: str, values: Array) -> str:
        """Add a constant to the graph, and return its name, which begins with ``name``."""
        name = f"{name}/{len(self.constants)}"
        self.constants[name] = values.astype(np.float32)
        self.graph.initializer.append(numpy_helper.from_array(self.constants[name], name))
        return name


def _each_channel(scale: Array, shift: Array, numbers: int) -> _Layer:
    return _Layer(np.diag(scale)[:, :, None, None], np.asarray(shift), numbers)


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
