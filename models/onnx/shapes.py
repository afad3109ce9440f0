"""The shapes of the tensors of an ONNX graph for one picture, told without running it."""

from __future__ import annotations

import math

import onnx
from onnx import helper

_LARGE = 1024  # numbers; a shape is computed from fewer


def infer_shapes(model: onnx.ModelProto, source: str, picture: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Infer the shapes ``(...)`` of tensors of one picture, without the batch; those that cannot be told are left out.

    Args:
        model: the weights of its graph are given up, so that a large file is not copied.
        source: the graph's input that takes the picture.
        picture: its shape, ``(H, W, C)``.
    """
    graph = model.graph
    declared = {each.name for each in graph.input}
    for weight in [each for each in graph.initializer if math.prod(each.dims) > _LARGE]:
        if weight.name not in declared:
            graph.input.append(helper.make_tensor_value_info(weight.name, weight.data_type, weight.dims))
        graph.initializer.remove(weight)
    del graph.value_info[:]  # of pictures of any size
    for each in graph.input:
        if each.name == source:
            batch = each.type.tensor_type.shape.dim[0].dim_value or 1
            each.CopyFrom(helper.make_tensor_value_info(source, each.type.tensor_type.elem_type, (batch, *picture)))
    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    except (onnx.shape_inference.InferenceError, ValueError):  # what a runtime takes may be more than onnx knows
        return {}
    values = {each.name: each.type.tensor_type.shape.dim for each in (*inferred.value_info, *inferred.output)}
    return {
        name: tuple(each.dim_value for each in dims[1:])
        for name, dims in values.items()
        if dims and all(each.HasField("dim_value") for each in dims[1:])
    }
