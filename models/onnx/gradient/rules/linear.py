"""Rules of convolutions and of products of matrices."""

from __future__ import annotations

from collections.abc import Callable

import onnx

from models.onnx.gradient.rules.elementwise import Gradients
from models.onnx.gradient.rules.windows import spread_back, window_of
from models.onnx.gradient.writer import Node, NoRuleError, Writer


def _convolve(node: Node, w: Writer) -> Gradients:
    if {*node.wanted} != {0}:
        raise NoRuleError("kernels that depend on the picture")
    window = window_of(node, node.attribute("kernel_shape") or w.kernel_size(node.inputs[1]))
    return {0: spread_back(node, w, window, node.g, node.inputs[1], group=node.attribute("group", 1))}


def _convolve_transposed(node: Node, w: Writer) -> Gradients:
    if {*node.wanted} != {0} or node.attribute("auto_pad", b"NOTSET") != b"NOTSET" or node.attribute("output_shape"):
        raise NoRuleError("kernels that depend on the picture, or an automatic size")
    kept = {"kernel_shape", "strides", "dilations", "group", "pads"}
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.proto.attribute if a.name in kept}
    return {0: w.add("Conv", node.g, node.inputs[1], **attributes)}


def _multiply_general(node: Node, w: Writer) -> Gradients:
    """The rule of ``Gemm``: ``alpha A' B' + beta C``, where A' and B' may be transposed."""
    a, b = node.inputs[:2]
    alpha, beta = node.attribute("alpha", 1.0), node.attribute("beta", 1.0)
    turned = node.attribute("transA", 0), node.attribute("transB", 0)
    found = {}
    if 0 in node.wanted and turned[0]:
        found[0] = w.add("Gemm", b, node.g, alpha=alpha, transA=turned[1], transB=1)
    elif 0 in node.wanted:
        found[0] = w.add("Gemm", node.g, b, alpha=alpha, transB=1 - turned[1])
    if 1 in node.wanted and turned[1]:
        found[1] = w.add("Gemm", node.g, a, alpha=alpha, transA=1, transB=turned[0])
    elif 1 in node.wanted:
        found[1] = w.add("Gemm", a, node.g, alpha=alpha, transA=1 - turned[0])
    if 2 in node.wanted:
        found[2] = w.unbroadcast(w.add("Mul", node.g, w.number(beta, node.g)), node.inputs[2])
    return found


def _multiply_matrices(node: Node, w: Writer) -> Gradients:
    a, b = node.inputs
    if w.ranks.get(a) == 1 or w.ranks.get(b) == 1:
        raise NoRuleError("a vector as a matrix")
    found = {}
    if 0 in node.wanted and w.ranks.get(b) == 2:
        found[0] = w.add("MatMul", node.g, w.add("Transpose", b, perm=[1, 0]))
    elif 0 in node.wanted:
        found[0] = w.unbroadcast(w.add("Einsum", node.g, b, equation="...ik,...jk->...ij"), a)
    if 1 in node.wanted:
        found[1] = w.unbroadcast(w.add("Einsum", a, node.g, equation="...ji,...jk->...ik"), b)
    return found


def _sum_products(node: Node, w: Writer) -> Gradients:
    """The rule of ``Einsum``: the gradient of an operand is one, too, with the operand and the result exchanged."""
    equation = node.attribute("equation").decode().replace(" ", "")
    given, arrow, result = equation.partition("->")
    terms = given.split(",")
    found = {}
    for i in node.wanted:
        others = [term for j, term in enumerate(terms) if j != i]
        repeated = any(len({*term}) < len(term) for term in terms)
        if not arrow or "." in equation or repeated or not {*terms[i]} <= {*result, *"".join(others)}:
            raise NoRuleError(f"the equation {equation[:40]}")
        names = [name for j, name in enumerate(node.inputs) if j != i]
        found[i] = w.add("Einsum", node.g, *names, equation=f"{','.join([result, *others])}->{terms[i]}")
    return found


RULES: dict[str, Callable[[Node, Writer], Gradients]] = {
    "Conv": _convolve,
    "ConvTranspose": _convolve_transposed,
    "Einsum": _sum_products,
    "Gemm": _multiply_general,
    "MatMul": _multiply_matrices,
}
