"""Whether the work of an ONNX model is bounded by the size of its input, whatever is in it."""

from __future__ import annotations

from collections.abc import Iterable

import onnx

_CONTROL_FLOW = {"If", "Loop", "Scan", "SequenceMap"}
# Operators that have outputs of a size that lies in the values of the inputs named; None is all of them.
_SIZED_BY = {
    "CenterCropPad": {1},
    "Compress": {1},
    "ConstantOfShape": {0},
    "Expand": {1},
    "ImageDecoder": {0},
    "MaxUnpool": {2},
    "NonMaxSuppression": {0, 1},
    "NonZero": {0},
    "OneHot": {1},
    "Pad": {1},
    "Range": {0, 1, 2},
    "RegexFullMatch": {0},
    "Resize": {1, 2, 3},
    "SplitToSequence": {1},
    "StringSplit": {0},
    "Tile": {1},
    "Unique": {0},
    "Upsample": {1},
}
_SIZES = {"Shape", "Size"}  # what these return is bounded by the size of what they are given


def is_bounded(model: onnx.ModelProto) -> bool:
    """Return whether a run takes no more time and memory than its input's size decides.

    It is not where there are branches or loops, or where the size of a tensor depends on the values of the input, as
    that of ``NonZero`` does. Operators of other domains are not known, but for functions of the model itself, which
    are looked into.
    """
    functions = {(function.domain, function.name): function for function in model.functions}
    return all(
        _are_bounded(nodes, inputs, functions)
        for nodes, inputs in (
            (model.graph.node, [value.name for value in model.graph.input]),
            *((function.node, list(function.input)) for function in model.functions),
        )
    )


def _are_bounded(
    nodes: Iterable[onnx.NodeProto],
    inputs: Iterable[str],
    functions: dict[tuple[str, str], onnx.FunctionProto],
) -> bool:
    """Return whether nodes are bounded; ``valued`` are the tensors that depend on the values of the inputs."""
    valued = set(inputs)
    for node in nodes:
        standard = node.domain in ("", "ai.onnx")
        if standard and node.op_type in _CONTROL_FLOW:
            return False
        if not standard and (node.domain, node.op_type) not in functions:
            return False
        sized_by = _SIZED_BY.get(node.op_type, set()) if standard else set()
        if any(index in sized_by and name in valued for index, name in enumerate(node.input)):
            return False
        if not (standard and node.op_type in _SIZES) and valued.intersection(node.input):
            valued.update(node.output)
    return True
