"""The logits of a network: its output, or what its softmax or sigmoid takes, so that none is applied twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from models.imports.graphs import Graph

Kind = Literal["logits", "probabilities", "one_sided"]
_PASSING = {
    "Identity",
    "Cast",
    "Flatten",
    "Reshape",
    "Squeeze",
    "Dropout",
    "ZipMap",
    "QuantizeLinear",
    "DequantizeLinear",
}
_CUT = {"Softmax", "LogSoftmax", "Sigmoid"}
_SUMS_TO = 1e-3


@dataclass(frozen=True)
class Logits:
    """The tensor that has the logits, or what they are made of.

    Attributes:
        tensor: in the graph.
        kind: ``probabilities`` are taken the logarithm of, ``one_sided`` is a sigmoid's one number of two classes.
        found: how it was found, for the report.
        is_multi_label: whether the network says of each class apart whether it is there.
    """

    tensor: str
    kind: Kind
    found: str
    is_multi_label: bool = False


def find_logits(graph: Graph, output: str, values: NDArray[Any] | None) -> Logits:
    """Find the logits behind an output.

    Args:
        graph: the network.
        output: its output with the classes.
        values: ``(N, classes)`` of it for some pictures; None where it is no tensor.
    """
    node = graph.makers.get(output)
    name = output
    while node is not None and node.op_type in _PASSING and len(graph.valued_inputs(node)) == 1:
        name = graph.valued_inputs(node)[0]
        node = graph.makers.get(name)
    is_single = values is not None and values.reshape(len(values), -1).shape[1] == 1
    if node is not None and node.op_type in _CUT:
        before = graph.valued_inputs(node)[0]
        cut = f"before the {node.op_type} at the end"
        several = node.op_type == "Sigmoid" and not is_single
        return Logits(before, "one_sided" if is_single else "logits", cut, is_multi_label=several)
    is_zipped = any(each.op_type == "ZipMap" for each in graph.ancestors([output])[-1:])
    if values is None and not is_zipped:
        return Logits(name, "logits", f"before the {graph.makers[output].op_type} at the end")
    if values is None:
        return Logits(name, "probabilities", "the logarithm of the probabilities")
    rows = values.reshape(len(values), -1).astype(np.float64)
    if rows.shape[1] > 1 and (rows >= 0).all() and np.abs(rows.sum(1) - 1).max() < _SUMS_TO:
        return Logits(
            output, "probabilities", "the logarithm of its probabilities, whose softmax has no node of its own"
        )
    return Logits(output, "one_sided" if is_single else "logits", "the output as it is")
