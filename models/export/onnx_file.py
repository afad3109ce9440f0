"""Export of a network to an ONNX file."""

from __future__ import annotations

import copy
import logging
import warnings
from typing import Any

import onnx
import torch
from onnx_ir import serde
from torch import Tensor, nn

from models.networks import Network
from models.onnx import op as onnx_op
from scs.errors import ExportError
from scs.nn.layers import SharpenedCosineSimilarity2d
from scs.nn.similarity import resolve_padding


def export_onnx(network: Network) -> bytes:
    """Export a network to a self-contained ONNX file of named layers, SCS layers as the op of :mod:`models.onnx.op`."""
    portable = _Portable(network)
    example = torch.zeros(2, 40, 48, network.channels, dtype=torch.uint8)
    free = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC}
    outputs = ["logits", *network.layer_names]
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it tells of every package that is not installed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own internals
        program = torch.onnx.export(
            portable,
            (example,),
            dynamo=True,
            verbose=False,
            input_names=["image"],
            output_names=outputs,
            dynamic_shapes=(free,),
            opset_version=onnx_op.ONNX_OPSET,
        )
    assert program is not None
    model = serde.serialize_model(program.model)
    del model.graph.output[1:]  # the layers stay in the graph under their names; only the logits leave it
    _name_dimensions(model, network)
    del model.metadata_props[:], model.graph.metadata_props[:]
    for node in model.graph.node:
        del node.metadata_props[:]  # stack traces with paths of the machine that exported
        node.doc_string = ""
    onnx_op.attach(model)
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content


class _OnnxSimilarity(nn.Module):
    """A stand-in for an SCS layer during export, which calls the ONNX op by name."""

    def __init__(self, layer: SharpenedCosineSimilarity2d) -> None:
        super().__init__()
        depthwise = layer.groups == layer.in_channels == layer.out_channels
        if not (layer.groups == 1 or depthwise) or layer.padding_mode != "zeros":
            raise ExportError("the op exports one group or depthwise layers, padded with zeros; another kind came")
        before, after = resolve_padding(layer.padding, layer.kernel_size, layer.dilation)
        if any(pad >= size for pad, size in zip(after, layer.kernel_size, strict=True)):  # the longer side
            raise ExportError(f"the op is padded by less than its kernel; {after} came for {layer.kernel_size}")
        self.attributes: dict[str, Any] = {
            "kernel_shape": list(layer.kernel_size),
            "pads": [*before, *after],
            "strides": list(layer.stride),
            "dilations": list(layer.dilation),
            "group": layer.groups,
        }
        self.layer = layer
        self.weight: Tensor
        self.scale: Tensor | None
        self.p: Tensor
        self.q: Tensor
        self.register_buffer("p", layer.p.detach())
        self.register_buffer("q", layer.q.detach())
        weight, scale = layer.kernels.detach(), None
        if not layer.mute_kernels:  # the op adds q to the norm of kernels, which are 1 here, and that is given back
            weight = weight / weight.flatten(1).norm(dim=1).clamp_min(1e-6).view(-1, 1, 1, 1)
            scale = ((1 + self.q) ** self.p).view(-1, 1, 1)
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale)

    def forward(self, x: Tensor) -> Tensor:
        pads, kernel, dilations, strides = (
            self.attributes[k] for k in ("pads", "kernel_shape", "dilations", "strides")
        )
        size = [
            (x.shape[2 + i] + pads[i] + pads[2 + i] - dilations[i] * (kernel[i] - 1) - 1) // strides[i] + 1
            for i in range(2)
        ]
        y = torch.onnx.ops.symbolic(
            f"{onnx_op.DOMAIN}::{onnx_op.SIMILARITY}",
            (x, self.weight, self.p, self.q),
            self.attributes,
            dtype=x.dtype,
            shape=(x.shape[0], self.layer.out_channels, *size),
            version=onnx_op.VERSION,
        )
        if self.scale is not None:
            y = y * self.scale
        if self.layer.gain is not None:
            y = y * self.layer.gain
        return y if self.layer.bias is None else y + self.layer.bias.view(-1, 1, 1)


def with_onnx_op(network: nn.Module) -> nn.Module:
    """Replace every SCS layer within a network by a stand-in that is exported as the op, in place; return the network.

    Raises:
        ExportError: a layer of a kind that the op does not have.
    """
    if isinstance(network, SharpenedCosineSimilarity2d):
        return _OnnxSimilarity(network)
    for name, layer in list(network.named_modules()):
        if isinstance(layer, SharpenedCosineSimilarity2d):
            parent, _, leaf = name.rpartition(".")
            setattr(network.get_submodule(parent), leaf, _OnnxSimilarity(layer))
    return network


class _Portable(nn.Module):
    """A copy of a network whose SCS layers are the op, and whose outputs are the logits and every layer."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).eval()
        with_onnx_op(self.network)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        maps = self.network.layers(image)
        return self.network.logits(maps), *maps.values()


def _name_dimensions(model: onnx.ModelProto, network: Network) -> None:
    for value, names in ((model.graph.input[0], ("N", "H", "W")), (model.graph.output[0], ("N",))):
        for dimension, name in zip(value.type.tensor_type.shape.dim, names, strict=False):
            dimension.dim_param = name
    model.graph.name = f"{network.family}_net"
    del model.graph.value_info[:]
