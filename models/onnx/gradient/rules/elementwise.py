"""Rules of operators that take their inputs number by number, with broadcasting."""

from __future__ import annotations

import math
from collections.abc import Callable

from models.onnx.gradient.writer import Node, NoRuleError, Writer

Gradients = dict[int, str]  # of a node's inputs, by their places


def _slope(derivative: Callable[[Node, Writer], str]) -> Callable[[Node, Writer], Gradients]:
    """Return the rule of a function of one input, from its derivative."""
    return lambda node, w: {0: w.add("Mul", node.g, derivative(node, w))}


def _passed_where(condition: Callable[[Node, Writer], str]) -> Callable[[Node, Writer], Gradients]:
    return lambda node, w: {0: w.where(condition(node, w), node.g)}


def _above(node: Node, w: Writer, bound: float = 0.0) -> str:
    return w.add("Greater", node.x, w.number(bound, node.x))


def _one_less(tensor: str, w: Writer) -> str:
    return w.add("Sub", w.number(1, tensor), tensor)


def _exponential_linear(node: Node, w: Writer) -> Gradients:
    below = w.add("Add", node.y, w.number(node.attribute("alpha", 1.0), node.y))  # alpha exp(x)
    return {0: w.add("Where", _above(node, w), node.g, w.add("Mul", node.g, below))}


def _leaky(node: Node, w: Writer) -> Gradients:
    faint = w.add("Mul", node.g, w.number(node.attribute("alpha", 0.01), node.g))
    return {0: w.add("Where", _above(node, w), node.g, faint)}


def _parametric(node: Node, w: Writer) -> Gradients:
    if 1 in node.wanted:
        raise NoRuleError("a slope that depends on the picture")
    return {0: w.add("Where", _above(node, w), node.g, w.add("Mul", node.g, node.inputs[1]))}


def _between(node: Node, w: Writer, low: float, high: float) -> str:
    return w.add("And", _above(node, w, low), w.add("Less", node.x, w.number(high, node.x)))


def _hard_sigmoid(node: Node, w: Writer) -> Gradients:
    alpha, beta = node.attribute("alpha", 0.2), node.attribute("beta", 0.5)
    scaled = w.add("Mul", node.g, w.number(alpha, node.g))
    return {0: w.where(_between(node, w, -beta / alpha, (1 - beta) / alpha), scaled)}


def _hard_swish(node: Node, w: Writer) -> Gradients:
    bent = w.add("Add", w.add("Mul", node.x, w.number(1 / 3, node.x)), w.number(0.5, node.x))
    inner = w.where(_between(node, w, -3, 3), w.add("Mul", node.g, bent))
    return {0: w.add("Where", _above(node, w, 3), node.g, inner)}


def _clip(node: Node, w: Writer) -> Gradients:
    gradient = node.g
    if node.input(1):
        gradient = w.where(w.add("GreaterOrEqual", node.x, node.inputs[1]), gradient)
    if node.input(2):
        gradient = w.where(w.add("LessOrEqual", node.x, node.inputs[2]), gradient)
    return {0: gradient}


def _error_function(node: Node, w: Writer) -> str:
    bell = w.add("Exp", w.add("Neg", w.add("Mul", node.x, node.x)))
    return w.add("Mul", bell, w.number(2 / math.sqrt(math.pi), bell))


def _gelu(node: Node, w: Writer) -> str:
    """The derivative of ``x Φ(x)``, where ``Φ`` is the normal distribution: ``Φ(x) + x φ(x)``."""
    if node.attribute("approximate", b"none") != b"none":
        return _approximate_gelu(node, w)
    share = w.add("Erf", w.add("Mul", node.x, w.number(math.sqrt(0.5), node.x)))
    share = w.add("Mul", w.add("Add", share, w.number(1, share)), w.number(0.5, share))
    half = w.add("Mul", w.add("Mul", node.x, node.x), w.number(-0.5, node.x))
    bell = w.add("Mul", w.add("Exp", half), w.number(1 / math.sqrt(2 * math.pi), node.x))
    return w.add("Add", share, w.add("Mul", node.x, bell))


def _approximate_gelu(node: Node, w: Writer) -> str:
    """The derivative of ``x (1 + tanh(a (x + b x³))) / 2``."""
    a, b, x = math.sqrt(2 / math.pi), 0.044715, node.x
    square = w.add("Mul", x, x)
    bent = w.add("Mul", w.product(square, x), w.number(b, x))
    bow = w.add("Tanh", w.add("Mul", w.add("Add", x, bent), w.number(a, x)))
    inner = w.add("Add", w.add("Mul", square, w.number(3 * a * b, x)), w.number(a, x))
    steep = w.product(x, inner, _one_less(w.add("Mul", bow, bow), w))
    return w.add("Mul", w.add("Add", w.add("Add", bow, w.number(1, x)), steep), w.number(0.5, x))


def _add(node: Node, w: Writer) -> Gradients:
    return {i: w.unbroadcast(node.g, node.inputs[i]) for i in node.wanted}


def _subtract(node: Node, w: Writer) -> Gradients:
    signed = [node.g, w.add("Neg", node.g)]
    return {i: w.unbroadcast(signed[i], node.inputs[i]) for i in node.wanted}


def _multiply(node: Node, w: Writer) -> Gradients:
    return {i: w.unbroadcast(w.add("Mul", node.g, node.inputs[1 - i]), node.inputs[i]) for i in node.wanted}


def _divide(node: Node, w: Writer) -> Gradients:
    numerator, denominator = node.inputs
    above = w.add("Div", node.g, denominator)
    found = {}
    if 0 in node.wanted:
        found[0] = w.unbroadcast(above, numerator)
    if 1 in node.wanted:
        found[1] = w.unbroadcast(w.add("Neg", w.add("Mul", above, node.y)), denominator)
    return found


def _power(node: Node, w: Writer) -> Gradients:
    if 1 in node.wanted:
        raise NoRuleError("an exponent that depends on the picture")
    exponent = w.add("CastLike", node.inputs[1], node.x)
    lower = w.add("Pow", node.x, w.add("Sub", exponent, w.number(1, node.x)))
    return {0: w.unbroadcast(w.product(node.g, exponent, lower), node.x)}


def _choose(node: Node, w: Writer) -> Gradients:
    """The rule of ``Where``."""
    condition = node.inputs[0]
    met = {1: condition, 2: w.add("Not", condition)}
    return {i: w.unbroadcast(w.where(met[i], node.g), node.inputs[i]) for i in node.wanted}


def _extreme(node: Node, w: Writer) -> Gradients:
    """The rule of ``Max`` and ``Min``: the gradient goes to the input that was taken, to equal ones in equal parts."""
    taken = [w.add("CastLike", w.add("Equal", name, node.y), node.g) for name in node.inputs]
    count = w.add("Sum", *taken)
    shares = {i: w.add("Div", w.add("Mul", node.g, taken[i]), count) for i in node.wanted}
    return {i: w.unbroadcast(share, node.inputs[i]) for i, share in shares.items()}


def _average(node: Node, w: Writer) -> Gradients:
    share = w.add("Div", node.g, w.number(len(node.inputs), node.g))
    return {i: w.unbroadcast(share, node.inputs[i]) for i in node.wanted}


def _cast(node: Node, w: Writer) -> Gradients:
    return {0: w.add("CastLike", node.g, node.x)}


RULES: dict[str, Callable[[Node, Writer], Gradients]] = {
    "Abs": _slope(lambda node, w: w.add("Sign", node.x)),
    "Add": _add,
    "Cast": _cast,
    "CastLike": _cast,
    "Clip": _clip,
    "Cos": _slope(lambda node, w: w.add("Neg", w.add("Sin", node.x))),
    "Div": _divide,
    "Dropout": lambda node, w: {0: node.g},  # does nothing but in training
    "Elu": _exponential_linear,
    "Erf": _slope(_error_function),
    "Exp": _slope(lambda node, w: node.y),
    "Gelu": _slope(_gelu),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "Identity": lambda node, w: {0: node.g},
    "LeakyRelu": _leaky,
    "Log": _slope(lambda node, w: w.add("Reciprocal", node.x)),
    "Max": _extreme,
    "Mean": _average,
    "Min": _extreme,
    "Mul": _multiply,
    "Neg": lambda node, w: {0: w.add("Neg", node.g)},
    "PRelu": _parametric,
    "Pow": _power,
    "Reciprocal": _slope(lambda node, w: w.add("Neg", w.add("Mul", node.y, node.y))),
    "Relu": _passed_where(_above),
    "Sigmoid": _slope(lambda node, w: w.add("Mul", node.y, _one_less(node.y, w))),
    "Sin": _slope(lambda node, w: w.add("Cos", node.x)),
    "Softplus": _slope(lambda node, w: w.add("Sigmoid", node.x)),
    "Sqrt": _slope(lambda node, w: w.add("Div", w.number(0.5, node.y), node.y)),
    "Sub": _subtract,
    "Sum": _add,
    "Tanh": _slope(lambda node, w: _one_less(w.add("Mul", node.y, node.y), w)),
    "Where": _choose,
}
