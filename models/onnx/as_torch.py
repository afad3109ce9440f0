"""Exported ONNX models run by torch, which has the gradients that an adversarial attack on the file needs."""

from __future__ import annotations

from typing import Any

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from models.onnx import op as onnx_op
from models.onnx.torch_operations import OPERATIONS
from scs.errors import ModelError

# What models.export.onnx_file writes; what else torch could run is left to the runtime, which has its own gradients.
_KNOWN = (
    onnx_op.SIMILARITY,
    "Conv",
    "MaxPool",
    "AveragePool",
    "BatchNormalization",
    "Transpose",
    "Cast",
    "Slice",
    "Concat",
    "ReduceMean",
    "Where",
    "GreaterOrEqual",
    "Relu",
    "PRelu",
    "Neg",
    "Add",
    "Mul",
)


class TorchGraph(nn.Module):
    """The graph of an ONNX file, as :mod:`models.export.onnx_file` writes it, run by torch node by node.

    Args:
        content: the file.

    Raises:
        ModelError: the graph has an operation that is not known here; a quantised one, say, has no gradients to give.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__()
        graph = onnx.load_from_string(content).graph
        for node in graph.node:
            if node.op_type not in _KNOWN:
                raise ModelError(f"gradients are known of {', '.join(_KNOWN)}; the file has a {node.op_type}")
        self._nodes = [
            (node.op_type, list(node.input), node.output[0], {a.name: _attribute(a) for a in node.attribute})
            for node in graph.node
        ]
        self._constants = {
            constant.name: torch.from_numpy(numpy_helper.to_array(constant).copy()) for constant in graph.initializer
        }

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits ``(N, classes)`` of images ``(N, H, W, C)`` from 0 to 255, uint8 or floating point."""
        return self.tensor("logits", image)

    def tensor(self, name: str, image: Tensor) -> Tensor:
        """Compute a named tensor of the graph, such as a layer's maps ``(N, K, H', W')``, and run nothing after it.

        Args:
            name: of the tensor, as a card's layers have it.
            image: see :meth:`forward`.

        Raises:
            ModelError: the graph has no such tensor.
        """
        values = {**self._constants, "image": image}
        for operation, inputs, output, attributes in self._nodes:
            values[output] = OPERATIONS[operation](*(values[name] for name in inputs), **attributes)
            if output == name:
                return values[output]
        raise ModelError(f"a tensor '{name[:60]}' was asked for that the graph does not have")


def _attribute(attribute: onnx.AttributeProto) -> Any:
    return onnx.helper.get_attribute_value(attribute)
