"""A graph made ready for a reverse pass: one opset, no functions, and constants where they are looked for."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx
from onnx import helper, inliner, numpy_helper, version_converter

from models.onnx.graph import read_by
from scs.errors import GradientError

# The reductions take their axes as inputs from here on, and scattering adds.
_LEAST_OPSET, _OPSET = 18, 20
_LEAST_IR_VERSION = 9
_AT_RANDOM = {"Bernoulli", "Dropout", "Multinomial", "RandomNormalLike", "RandomUniformLike"}


def prepared(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of a model, its functions inlined, its constants initializers, and its opset one that rules know.

    Raises:
        GradientError: its opset cannot be converted.
    """
    ready = inliner.inline_local_functions(model)
    opset = next((each.version for each in ready.opset_import if each.domain in ("", "ai.onnx")), 1)
    if opset < _LEAST_OPSET:
        try:
            ready = version_converter.convert_version(ready, _OPSET)
        except Exception as error:  # a plain RuntimeError, or one of its own, for each cause
            why = (str(error).strip().splitlines() or ["?"])[0][:200]
            raise GradientError(f"a gradient needs opset {_LEAST_OPSET}; the model has {opset} and: {why}") from None
    ready.ir_version = max(ready.ir_version, _LEAST_IR_VERSION)
    _store_constants(ready.graph)
    _fold(ready)
    return ready


def decomposed(model: onnx.ModelProto, operators: Collection[str]) -> onnx.ModelProto:
    """Return a copy of a model with operators replaced by those that ONNX defines them by, where it does."""
    opset = next(each.version for each in model.opset_import if each.domain in ("", "ai.onnx"))
    schemas = {name: schema for name in operators if (schema := _definition(name, opset))}
    if not schemas:
        return model
    ready = onnx.ModelProto()
    ready.CopyFrom(model)
    for node in ready.graph.node:
        if node.op_type in schemas and node.domain in ("", "ai.onnx"):
            _write_defaults(node, schemas[node.op_type])
    # Definitions depend on types, which are looked for here alone.
    ready.graph.value_info.extend(
        helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims) for tensor in ready.graph.initializer
    )
    ready = inliner.inline_selected_functions(ready, [("", name) for name in schemas], inline_schema_functions=True)
    _store_constants(ready.graph)
    return ready


def _definition(operator: str, opset: int) -> onnx.defs.OpSchema | None:
    try:
        schema = onnx.defs.get_schema(operator, opset)
    except onnx.defs.SchemaError:  # of another domain, or of nobody
        return None
    is_defined = schema.has_function or schema.has_context_dependent_function  # type: ignore[attr-defined]
    return schema if is_defined else None


def _write_defaults(node: onnx.NodeProto, schema: onnx.defs.OpSchema) -> None:
    """Write down the attributes that were left out: a definition would be left without them."""
    given = {attribute.name for attribute in node.attribute}
    for name, described in schema.attributes.items():
        if name not in given and described.default_value.type != onnx.AttributeProto.UNDEFINED:
            node.attribute.append(described.default_value)


def _store_constants(graph: onnx.GraphProto) -> None:
    """Turn the nodes that return constants into initializers."""
    others = []
    for node in graph.node:
        values = None if node.op_type != "Constant" else _values(node)
        if values is None:
            others.append(node)
        else:
            graph.initializer.append(values)
    del graph.node[:]
    graph.node.extend(others)


def _fold(model: onnx.ModelProto) -> None:
    """Turn what is made of constants alone into initializers: rules want kernels that are."""
    graph = model.graph
    known = {tensor.name for tensor in graph.initializer} - {value.name for value in graph.input}
    made, others = [], []
    for node in graph.node:
        is_fixed = node.op_type not in _AT_RANDOM and not any(each.g.node or each.graphs for each in node.attribute)
        if is_fixed and node.input and known.issuperset(filter(None, node.input)):
            made.append(node)
            known.update(node.output)
        else:
            others.append(node)
    read = {name for node in others for name in read_by(node)} | {output.name for output in graph.output}
    names = [name for node in made for name in node.output if name in read]
    if not names:
        return
    outputs = [onnx.ValueInfoProto(name=name) for name in names]
    part = helper.make_model(helper.make_graph(made, "constants", [], outputs, graph.initializer))
    del part.opset_import[:]
    part.opset_import.extend(model.opset_import)
    from onnx.reference import ReferenceEvaluator  # 9 MB, in each process that never asks for a gradient, too

    try:
        values = ReferenceEvaluator(part).run(None, {})
    except Exception:  # each operator that it does not have, or not for a type, raises in its own way
        return
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in zip(names, values, strict=True))
    del graph.node[:]
    graph.node.extend(others)


def _values(node: onnx.NodeProto) -> onnx.TensorProto | None:
    """Return the tensor of a constant, or None where it holds text or is sparse."""
    (attribute,) = node.attribute
    value = helper.get_attribute_value(attribute)
    if attribute.name == "value":
        tensor = onnx.TensorProto()
        tensor.CopyFrom(value)
        tensor.name = node.output[0]
        return tensor
    kinds = {"value_float": "float32", "value_floats": "float32", "value_int": "int64", "value_ints": "int64"}
    if attribute.name not in kinds:
        return None
    return numpy_helper.from_array(np.array(value, kinds[attribute.name]), node.output[0])
