"""Rules of operators that move numbers: their inputs' gradients are moved back."""

from __future__ import annotations

from collections.abc import Callable

from models.onnx.gradient.rules.elementwise import Gradients
from models.onnx.gradient.writer import Node, NoRuleError, Writer


def scatter(w: Writer, places: str, gradient: str, size: str) -> str:
    """Add each number of a gradient to the one of ``size`` zeros that ``places`` says, and return these, 1-D."""
    zeros = w.zeros(size, gradient)
    return w.add("ScatterElements", zeros, w.flat(places), w.flat(gradient), axis=0, reduction="add")


def _reshape(node: Node, w: Writer) -> Gradients:
    return {0: w.like(node.g, node.x)}


def _transpose(node: Node, w: Writer) -> Gradients:
    order = node.attribute("perm")
    if order is None:  # reversed, and so is the way back
        return {0: w.add("Transpose", node.g)}
    return {0: w.add("Transpose", node.g, perm=[order.index(axis) for axis in range(len(order))])}


def _places(node: Node, w: Writer) -> str:
    """Return the places of a tensor's numbers, counted through, in its shape."""
    count = w.add("Size", node.x)
    counted = w.add("Range", w.constant(0), count, w.constant(1))
    return w.like(counted, node.x)


def _move(node: Node, w: Writer) -> Gradients:
    """Have the operator move the places of its input's numbers, and add each gradient where its number came from."""
    if {*node.wanted} != {0}:
        raise NoRuleError("places that depend on the picture")
    moved = w.copy(node, {0: _places(node, w)}, outputs=len(node.outputs))
    came = [(w.flat(places), w.flat(g)) for places, g in zip(moved, node.gradients, strict=True) if g is not None]
    places = w.add("Concat", *(each for each, _ in came), axis=0)
    gradient = w.add("Concat", *(each for _, each in came), axis=0)
    return {0: w.like(scatter(w, places, gradient, w.size(node.x)), node.x)}


def _pad(node: Node, w: Writer) -> Gradients:
    """The rule of ``Pad``; what a constant was added for comes from a place behind the last, which is cut off."""
    if {*node.wanted} != {0}:
        raise NoRuleError("a border that depends on the picture")
    if node.attribute("mode", b"constant") != b"constant":
        return _move(node, w)
    size = w.size(node.x)
    places = w.add("Pad", _places(node, w), node.inputs[1], w.add("Size", node.x), *node.inputs[3:4])
    gradient = scatter(w, places, node.g, w.add("Add", size, w.constant([1])))
    return {0: w.like(w.add("Slice", gradient, w.constant([0]), size), node.x)}


def _join(node: Node, w: Writer) -> Gradients:
    """The rule of ``Concat``."""
    axis = node.attribute("axis")
    sizes = [w.add("Gather", w.shape(name), w.constant([axis])) for name in node.inputs]
    found, start = {}, w.constant([0])
    for i, size in enumerate(sizes):
        end = w.add("Add", start, size)
        if i in node.wanted:
            found[i] = w.add("Slice", node.g, start, end, w.constant([axis]))
        start = end
    return found


RULES: dict[str, Callable[[Node, Writer], Gradients]] = {
    "Concat": _join,
    "Expand": lambda node, w: {0: w.unbroadcast(node.g, node.x)},
    "Flatten": _reshape,
    "Gather": _move,
    "GatherElements": _move,
    "GatherND": _move,
    "Pad": _pad,
    "Reshape": _reshape,
    "Slice": _move,
    "Split": _move,
    "Squeeze": _reshape,
    "Tile": _move,
    "Transpose": _transpose,
    "Unsqueeze": _reshape,
}
