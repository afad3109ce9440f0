"""Exported ONNX models run by torch, which has the gradients that an adversarial attack on the file needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from torch import Tensor, nn

from models.onnx import op as onnx_op
from scs.errors import ModelError
from scs.nn.similarity import sharpened_cosine_similarity

Pads = Sequence[int]  # top, left, bottom, right


class TorchGraph(nn.Module):
    """The graph of an ONNX file, as :mod:`models.export.onnx_file` writes it, run by torch node by node.

    Args:
        content: the file.

    Raises:
        ModelError: the graph has an operation that is not known here; a quantised one, say, has no gradients to give.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__()
        graph = onnx.load_from_string(content).graph
        for node in graph.node:
            if node.op_type not in _OPERATIONS:
                raise ModelError(f"gradients are known of {', '.join(_OPERATIONS)}; the file has a {node.op_type}")
        self._nodes = [
            (node.op_type, list(node.input), node.output[0], {a.name: _attribute(a) for a in node.attribute})
            for node in graph.node
        ]
        self._constants = {
            constant.name: torch.from_numpy(numpy_helper.to_array(constant).copy()) for constant in graph.initializer
        }

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits ``(N, classes)`` of images ``(N, H, W, C)`` from 0 to 255, uint8 or floating point."""
        return self.tensor("logits", image)

    def tensor(self, name: str, image: Tensor) -> Tensor:
        """Compute a named tensor of the graph, such as a layer's maps ``(N, K, H', W')``, and run nothing after it.

        Args:
            name: of the tensor, as a card's layers have it.
            image: see :meth:`forward`.

        Raises:
            ModelError: the graph has no such tensor.
        """
        values = {**self._constants, "image": image}
        for operation, inputs, output, attributes in self._nodes:
            values[output] = _OPERATIONS[operation](*(values[name] for name in inputs), **attributes)
            if output == name:
                return values[output]
        raise ModelError(f"a tensor '{name[:60]}' was asked for that the graph does not have")


def _attribute(attribute: onnx.AttributeProto) -> Any:
    return onnx.helper.get_attribute_value(attribute)


def _similarity(x: Tensor, w: Tensor, p: Tensor, q: Tensor, *, pads: Pads, group: int, **window: Any) -> Tensor:
    strides, dilations = window["strides"], window["dilations"]
    return sharpened_cosine_similarity(_padded(x, pads), w, p, q, stride=strides, dilation=dilations, groups=group)


def _convolution(x: Tensor, w: Tensor, bias: Tensor | None = None, *, pads: Pads, group: int, **window: Any) -> Tensor:
    return F.conv2d(_padded(x, pads), w, bias, window["strides"], 0, window["dilations"], group)


def _max_pool(x: Tensor, *, pads: Pads, **window: Any) -> Tensor:
    x = _padded(x, pads, -torch.inf)
    sizes = window["kernel_shape"], window["strides"], 0, window["dilations"]
    return F.max_pool2d(x, *sizes, ceil_mode=bool(window["ceil_mode"]))


def _mean_pool(x: Tensor, *, pads: Pads, **window: Any) -> Tensor:
    inside = _padded(torch.ones_like(x[:1, :1]), pads)
    sizes = window["kernel_shape"], window["strides"]
    pooled = F.avg_pool2d(_padded(x, pads), *sizes)
    return pooled if window["count_include_pad"] else pooled / F.avg_pool2d(inside, *sizes)


def _slice(x: Tensor, starts: Tensor, ends: Tensor, axes: Tensor, steps: Tensor) -> Tensor:
    for start, end, axis, step in torch.stack([starts, ends, axes, steps], 1).tolist():
        parts = [slice(None)] * x.ndim
        parts[axis] = slice(start, end, step)
        x = x[tuple(parts)]
    return x


def _padded(x: Tensor, pads: Pads, value: float = 0.0) -> Tensor:
    top, left, bottom, right = pads
    return F.pad(x, (left, right, top, bottom), value=value) if any(pads) else x


_OPERATIONS: dict[str, Callable[..., Tensor]] = {
    onnx_op.SIMILARITY: _similarity,
    "Conv": _convolution,
    "MaxPool": _max_pool,
    "AveragePool": _mean_pool,
    "BatchNormalization": lambda x, gain, bias, mean, variance, *, epsilon, **_: F.batch_norm(
        x, mean, variance, gain, bias, eps=epsilon
    ),
    "Transpose": lambda x, perm: x.permute(*perm),
    "Cast": lambda x, to: x if x.is_floating_point() else x.float(),  # bytes to float32, the one cast there is
    "Slice": _slice,
    "Concat": lambda *parts, axis: torch.cat(parts, axis),
    "ReduceMean": lambda x, axes, keepdims=1, **_: x.mean(axes.tolist(), keepdim=bool(keepdims)),
    "Where": torch.where,
    "GreaterOrEqual": torch.ge,
    "Relu": torch.relu,
    "Neg": torch.neg,
    "Add": torch.add,
    "Mul": torch.mul,
}
