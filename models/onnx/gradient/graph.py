"""The reverse pass over the part of a graph that is behind a tensor."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

from models.onnx.gradient.path import Path, operator_of, path_between
from models.onnx.gradient.prepare import decomposed, prepared
from models.onnx.gradient.rules import RULES
from models.onnx.gradient.views import source_of, viewed
from models.onnx.gradient.writer import Node, NoRuleError, Writer
from models.onnx.graph import keep_only, needed_nodes
from scs.errors import GradientError

DIRECTION = "direction"  # an input: the direction of the output in which the gradient is taken
GRADIENT = "gradient"


def with_gradient(model: onnx.ModelProto, tensor: str, output: str = "logits") -> onnx.ModelProto:
    """Add to a graph the gradient of an output by one of its tensors, as nodes of ONNX's own operators.

    The gradient is that of the sum of the output times ``direction``, a new input of the output's shape, float32: of
    one class's logit where it is one for that class and zero for the others. Only what is behind the tensor is
    differentiated. An operator without a rule is replaced by those that ONNX defines it by, where it does. A tensor
    that the output does not come from is taken for a view of the one that it was moved from, such as a transformer's
    tokens laid out as maps.

    Args:
        model: the graph; it is not changed.
        tensor: of the graph.
        output: of the graph.

    Returns:
        A graph with the outputs ``output``, ``tensor`` and ``gradient``, which is float32 and of the tensor's shape.
        Functions of the model are replaced by what they are made of.

    Raises:
        GradientError: the output does not depend on the tensor, or an operator on the way has no rule; the message
            names each.
    """
    ready = prepared(model)
    source, views = source_of(ready.graph, tensor, output)
    path = path_between(ready.graph, source, output)
    if _without_rule(path):
        ready = decomposed(ready, {node.op_type for node in _without_rule(path)})
        path = path_between(ready.graph, source, output)
    if lacking := sorted({operator_of(node) for node in _without_rule(path)}):
        raise GradientError(
            f"a gradient needs a rule for each operator behind {tensor}; there is none for {_list(lacking)}"
        )
    graph, writer = ready.graph, Writer(ready.graph)
    gradient = viewed(writer, views, source, _reverse(writer, path, source, output))
    writer.nodes.append(helper.make_node("Cast", [gradient], [GRADIENT], to=TensorProto.FLOAT))
    graph.input.append(helper.make_tensor_value_info(DIRECTION, TensorProto.FLOAT, None))
    graph.node.extend(writer.nodes)
    graph.initializer.extend(writer.initializers)
    del graph.output[:], graph.value_info[:]
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in dict.fromkeys([output, tensor, GRADIENT]))
    keep_only(graph, needed_nodes(graph))
    return ready


def _without_rule(path: Path) -> list[onnx.NodeProto]:
    return [node for node in path.nodes if operator_of(node) not in RULES]


def _list(names: list[str]) -> str:
    shown = names[:5]
    return ", ".join(shown) + (f" and {len(names) - len(shown)} others" if len(names) > len(shown) else "")


def _reverse(writer: Writer, path: Path, source: str, output: str) -> str:
    """Write the reverse pass from an output to a tensor, and return the name of the gradient."""
    came: dict[str, list[str]] = {output: [writer.add("CastLike", DIRECTION, output)]}
    for proto in reversed(path.nodes):
        gradients = [_total(writer, came.get(name, [])) for name in proto.output]
        if not any(gradients):
            continue
        wanted = [place for place, name in enumerate(proto.input) if name in path.tensors]
        node = Node(proto, list(proto.input), list(proto.output), gradients, wanted)
        try:
            found = RULES[operator_of(proto)](node, writer)
        except NoRuleError as error:
            raise GradientError(f"a gradient needs a rule for {proto.op_type} with {error}; there is none") from None
        for place, gradient in found.items():
            came.setdefault(proto.input[place], []).append(gradient)
    total = _total(writer, came.get(source, []))
    assert total is not None
    return total


def _total(writer: Writer, gradients: list[str]) -> str | None:
    if len(gradients) < 2:
        return gradients[0] if gradients else None
    return writer.add("Sum", *gradients)
