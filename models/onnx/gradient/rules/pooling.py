"""Rules of pooling and of reductions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import helper

from models.onnx.gradient.rules.elementwise import Gradients
from models.onnx.gradient.rules.moving import scatter
from models.onnx.gradient.rules.windows import spread_back, window_of
from models.onnx.gradient.writer import Node, NoRuleError, Writer


def _pool_max(node: Node, w: Writer) -> Gradients:
    if len(node.outputs) > 1 and node.gradients[1] is not None:
        raise NoRuleError("places as values")
    _, places = w.copy(node, {}, outputs=2, storage_order=0)
    return {0: w.like(scatter(w, places, node.g, w.size(node.x)), node.x)}


def _pool_mean(node: Node, w: Writer) -> Gradients:
    """The rule of ``AveragePool``: each number's share of its windows, spread back channel by channel."""
    window = window_of(node, node.attribute("kernel_shape"))
    axes = len(window.size)
    one_map = w.constant([-1, 1, *[0] * axes])  # every channel a picture of its own
    one_of_each = w.add("Concat", w.constant([1, 1]), w.add("Shape", node.x, start=2), axis=0)
    blank = w.add("Expand", w.number(1, node.x), one_of_each)
    ones = w.add("CastLike", w.constant(np.ones([1, 1, *window.size]), np.float32), node.x)
    # Ones that are summed and the same ones' mean: how many numbers each window was divided by.
    summed = w.add("LpPool", blank, p=1, **_but(node, "count_include_pad"))
    count = w.add("Div", summed, w.copy(node, {0: blank})[0])
    shares = w.add("Reshape", w.add("Div", node.g, count), one_map)
    spread = spread_back(node, w, window, shares, ones, group=1)
    return {0: w.like(spread, node.x)}


def _but(node: Node, name: str) -> dict[str, Any]:
    """Return the attributes of a node, but one."""
    return {a.name: helper.get_attribute_value(a) for a in node.proto.attribute if a.name != name}


def _pool_everything_mean(node: Node, w: Writer) -> Gradients:
    count = w.add("Div", w.size(node.x), w.size(node.y))
    return {0: w.add("Expand", w.add("Div", node.g, w.add("CastLike", count, node.g)), w.shape(node.x))}


def _pool_everything_max(node: Node, w: Writer) -> Gradients:
    return _to_largest(node, w, node.g, node.y, w.constant([2, 3]))


def _to_largest(node: Node, w: Writer, gradient: str, y: str, axes: str) -> Gradients:
    """Give the gradient to the numbers that a reduction took, in equal parts where several are equal."""
    taken = w.add("CastLike", w.add("Equal", node.x, y), gradient)
    count = w.add("ReduceSum", taken, axes, keepdims=1) if axes else w.add("ReduceSum", taken, keepdims=1)
    return {0: w.add("Mul", taken, w.add("Div", gradient, count))}


def _kept(node: Node, w: Writer) -> tuple[str, str]:
    """Return the gradient and the result of a reduction, with the axes kept that were reduced."""
    kept = w.copy(node, {}, keepdims=1)[0]
    return w.like(node.g, kept), kept


def _reduce_sum(node: Node, w: Writer) -> Gradients:
    return {0: w.add("Expand", _kept(node, w)[0], w.shape(node.x))}


def _reduce_mean(node: Node, w: Writer) -> Gradients:
    gradient, kept = _kept(node, w)
    count = w.add("CastLike", w.add("Div", w.size(node.x), w.size(kept)), gradient)
    return {0: w.add("Expand", w.add("Div", gradient, count), w.shape(node.x))}


def _reduce_extreme(node: Node, w: Writer) -> Gradients:
    gradient, kept = _kept(node, w)
    if not node.input(1) and node.attribute("noop_with_empty_axes", 0):
        return {0: node.g}
    return _to_largest(node, w, gradient, kept, node.input(1))


def _reduce_squares(node: Node, w: Writer) -> Gradients:
    twice = w.add("Mul", node.x, w.number(2, node.x))
    return {0: w.add("Mul", twice, _kept(node, w)[0])}


def _reduce_length(node: Node, w: Writer) -> Gradients:
    """The rule of ``ReduceL2``."""
    gradient, kept = _kept(node, w)
    return {0: w.add("Mul", node.x, w.add("Div", gradient, kept))}


RULES: dict[str, Callable[[Node, Writer], Gradients]] = {
    "AveragePool": _pool_mean,
    "GlobalAveragePool": _pool_everything_mean,
    "GlobalMaxPool": _pool_everything_max,
    "MaxPool": _pool_max,
    "ReduceL2": _reduce_length,
    "ReduceMax": _reduce_extreme,
    "ReduceMean": _reduce_mean,
    "ReduceMin": _reduce_extreme,
    "ReduceSum": _reduce_sum,
    "ReduceSumSquare": _reduce_squares,
}
