"""Networks that answer otherwise each time: exported in training, or with numbers drawn at random."""

from __future__ import annotations

from collections.abc import Iterable

import onnx

from models.imports.graphs import Graph, attributes
from scs.errors import ModelError

_RANDOM = {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
_BATCH_STATISTICS_BY_ATTRIBUTE = 14  # the operator set from which BatchNormalization says it so


def refuse_chance(graph: Graph, ends: Iterable[str]) -> None:
    """Refuse a network whose answer on a picture is not a matter of the picture alone.

    Args:
        graph: the network.
        ends: the tensors that it is for.

    Raises:
        ModelError: a node of it draws at random, or goes by the statistics of the batch.
    """
    for node in graph.ancestors(ends):
        if node.op_type in _RANDOM:
            raise ModelError(
                f"a network needs to answer the same each time; {node.op_type} of this one draws at random: export the "
                "part before it"
            )
        if _is_in_training(graph, node):
            raise ModelError(
                f"a network needs to be exported as it is used; {node.op_type} of this one is in training: export it "
                "after net.eval(), or with training=False"
            )


def _is_in_training(graph: Graph, node: onnx.NodeProto) -> bool:
    if node.op_type == "BatchNormalization":
        if graph.opset >= _BATCH_STATISTICS_BY_ATTRIBUTE:
            return bool(attributes(node).get("training_mode", 0))
        return sum(bool(name) for name in node.output) > 1
    if node.op_type == "Dropout" and len(node.input) > 2:
        mode = graph.constant(node.input[2])
        ratio = graph.constant(node.input[1]) if node.input[1] else None
        return mode is not None and bool(mode.all()) and (ratio is None or bool((ratio > 0).all()))
    return False
