"""Detection of ONNX external data: tensors whose values are in files beside the model."""

from __future__ import annotations

from typing import Any

import onnx


def refers_to_files(model: onnx.ModelProto) -> bool:
    """Return whether any tensor of a model, in any graph, function or attribute, has its values in another file."""
    return _refers(model)


def _refers(message: Any) -> bool:  # protobuf ships no annotations
    if isinstance(message, onnx.TensorProto):
        return bool(message.external_data) or message.data_location == onnx.TensorProto.EXTERNAL
    for field, value in message.ListFields():
        if field.message_type is not None:
            parts = [value] if hasattr(value, "ListFields") else value
            if any(_refers(part) for part in parts):
                return True
    return False
