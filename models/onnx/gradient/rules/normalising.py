"""Rules of normalisations and of softmax."""

from __future__ import annotations

from collections.abc import Callable

from models.onnx.gradient.rules.elementwise import Gradients
from models.onnx.gradient.writer import Node, NoRuleError, Writer


def _only_x(node: Node, what: str) -> None:
    if {*node.wanted} != {0}:
        raise NoRuleError(what)


def _scaled(gradient: str, scale: str, variance: str, w: Writer, epsilon: float) -> str:
    """Return what batch normalisation makes of a gradient: each channel times its scale, divided by its deviation."""
    none = w.add("Mul", scale, w.number(0, scale))
    return w.add("BatchNormalization", gradient, scale, none, none, variance, epsilon=epsilon)


def _batch(node: Node, w: Writer) -> Gradients:
    _only_x(node, "a scale that depends on the picture")
    if node.attribute("training_mode", 0):
        raise NoRuleError("the statistics of a batch")
    return {0: _scaled(node.g, node.inputs[1], node.inputs[4], w, node.attribute("epsilon", 1e-5))}


def _instance(node: Node, w: Writer) -> Gradients:
    _only_x(node, "a scale that depends on the picture")
    ones = w.add("Add", w.add("Mul", node.inputs[1], w.number(0, node.x)), w.number(1, node.x))
    scaled = _scaled(node.g, node.inputs[1], ones, w, 0.0)
    return {0: _standardised(node, w, scaled, first=2)}


def _layer(node: Node, w: Writer) -> Gradients:
    _only_x(node, "a scale that depends on the picture")
    return {0: _standardised(node, w, w.add("Mul", node.g, node.inputs[1]), node.attribute("axis", -1))}


def _standardised(node: Node, w: Writer, gradient: str, first: int) -> str:
    """Return the gradient of ``(x - mean) / deviation``, both over the axes from ``first`` on."""
    rank = w.add("Size", w.shape(node.x))
    start = w.constant(first) if first >= 0 else w.add("Add", rank, w.constant(first))
    axes = w.add("Range", start, rank, w.constant(1))
    apart = w.add("Sub", node.x, w.add("ReduceMean", node.x, axes))
    variance = w.add("ReduceMean", w.add("Mul", apart, apart), axes)
    epsilon = w.number(node.attribute("epsilon", 1e-5), node.x)
    narrow = w.add("Reciprocal", w.add("Sqrt", w.add("Add", variance, epsilon)))
    unit = w.add("Mul", apart, narrow)
    along = w.add("Mul", unit, w.add("ReduceMean", w.add("Mul", gradient, unit), axes))
    rest = w.add("Sub", w.add("Sub", gradient, w.add("ReduceMean", gradient, axes)), along)
    return w.add("Mul", rest, narrow)


def _softmax(node: Node, w: Writer) -> Gradients:
    axis = w.constant([node.attribute("axis", -1)])
    common = w.add("ReduceSum", w.add("Mul", node.g, node.y), axis)
    return {0: w.add("Mul", node.y, w.add("Sub", node.g, common))}


def _log_softmax(node: Node, w: Writer) -> Gradients:
    axis = w.constant([node.attribute("axis", -1)])
    common = w.add("Mul", w.add("Exp", node.y), w.add("ReduceSum", node.g, axis))
    return {0: w.add("Sub", node.g, common)}


RULES: dict[str, Callable[[Node, Writer], Gradients]] = {
    "BatchNormalization": _batch,
    "InstanceNormalization": _instance,
    "LayerNormalization": _layer,
    "LogSoftmax": _log_softmax,
    "Softmax": _softmax,
}
