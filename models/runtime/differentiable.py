"""ONNX models as functions of torch, for attacks and feature visualization, which need gradients by the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import onnx
import onnxruntime as ort
import torch
from onnx import TensorProto
from torch import Tensor, nn

from models.onnx.as_torch import TorchGraph
from models.onnx.gradient.graph import DIRECTION, GRADIENT, with_gradient
from models.onnx.graph import keep_only, needed_nodes
from models.runtime.device import open_session
from scs.errors import GradientError, ModelError

_IMAGE = "image"


@dataclass(frozen=True)
class _Passes:
    """A session for a tensor's value, and one for its gradient: a session runs all that it has, even if unasked."""

    forth: ort.InferenceSession
    back: ort.InferenceSession


class RuntimeGraph(nn.Module):
    """The graph of an ONNX file, run by ONNX Runtime forth and back, for torch.

    Args:
        content: the file; its input is ``image``, of which bytes become floating point.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self._model = onnx.load_from_string(content)
        for value in self._model.graph.input:
            if value.name == _IMAGE and value.type.tensor_type.elem_type == TensorProto.UINT8:
                value.type.tensor_type.elem_type = TensorProto.FLOAT
        self._passes: dict[str, _Passes] = {}

    def passes(self, name: str) -> _Passes:
        """Return the sessions for a tensor and its gradient by the picture, opened once.

        Raises:
            GradientError: an operator in front of the tensor has no rule; the message names it.
        """
        if name not in self._passes:
            back = with_gradient(self._model, _IMAGE, name)
            forth = onnx.ModelProto()
            forth.CopyFrom(self._model)
            for graph, output in ((forth.graph, name), (back.graph, GRADIENT)):
                del graph.output[:]
                graph.output.append(onnx.ValueInfoProto(name=output))
                keep_only(graph, needed_nodes(graph))
            self._passes[name] = _Passes(*(open_session(each.SerializeToString(), "cpu") for each in (forth, back)))
        return self._passes[name]

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits ``(N, classes)`` of images ``(N, H, W, C)`` from 0 to 255, uint8 or floating point."""
        return self.tensor("logits", image)

    def tensor(self, name: str, image: Tensor) -> Tensor:
        """Compute a named tensor of the graph.

        Args:
            name: of the tensor, as a card's layers have it.
            image: see :meth:`forward`.

        Raises:
            GradientError: an operator in front of the tensor has no rule; the message names it.
        """
        found: Tensor = _Run.apply(image.float(), self.passes(name))  # type: ignore[no-untyped-call]
        return found


class _Run(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor, passes: _Passes) -> Tensor:
        """Run the graph forth."""
        ctx.save_for_backward(image)
        ctx.passes = passes
        (value,) = passes.forth.run(None, {_IMAGE: image.detach().numpy()})
        return torch.from_numpy(value)

    @staticmethod
    def backward(ctx: Any, direction: Tensor) -> tuple[Tensor, None]:
        """Run the graph forth and back.

        Raises:
            GradientError: the gradient shall be differentiated in its turn.
        """
        if torch.is_grad_enabled():
            raise GradientError("ONNX Runtime computes first derivatives only; create_graph=True asked for second ones")
        (image,) = ctx.saved_tensors
        feeds = {_IMAGE: image.numpy(), DIRECTION: direction.contiguous().numpy()}
        (gradient,) = ctx.passes.back.run(None, feeds)
        return torch.from_numpy(gradient), None


class OneByOne(nn.Module):
    """A graph that is handed each image of a batch by itself.

    Args:
        graph: that takes one image at a time.
    """

    def __init__(self, graph: TorchGraph | RuntimeGraph) -> None:
        super().__init__()
        self.graph = graph

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits ``(N, classes)`` of images ``(N, H, W, C)`` from 0 to 255, uint8 or floating point."""
        return self.tensor("logits", image)

    def tensor(self, name: str, image: Tensor) -> Tensor:
        """Compute a named tensor of the graph, as :meth:`RuntimeGraph.tensor`."""
        return torch.cat([self.graph.tensor(name, each) for each in image.split(1)])


Differentiable = TorchGraph | RuntimeGraph | OneByOne


def differentiable(content: bytes, tensor: str = "logits", one_by_one: bool = False) -> Differentiable:
    """Return an ONNX model as a function of torch, run by torch if that knows its operators, else by the runtime.

    Args:
        content: the file; its input is ``image``.
        tensor: that will be asked for.
        one_by_one: whether it takes one image at a time.

    Raises:
        GradientError: an operator in front of the tensor has no rule; the message names it.
    """
    graph: TorchGraph | RuntimeGraph
    try:
        graph = TorchGraph(content)
    except ModelError:
        graph = RuntimeGraph(content)
        graph.passes(tensor)  # to say at once which operator has no rule
    return OneByOne(graph) if one_by_one else graph
