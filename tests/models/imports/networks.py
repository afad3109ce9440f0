"""Small networks, as people export them: by torch, and node by node."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn


class Block(nn.Module):
    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after, 3, stride, 1)
        self.norm = nn.BatchNorm2d(after)
        self.second = nn.Conv2d(after, after, 3, 1, 1)
        self.skip = nn.Conv2d(before, after, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.norm(self.second(torch.relu(self.first(x)))) + self.skip(x))


class Residual(nn.Module):
    """A residual network whose strides differ down and across."""

    def __init__(self, softmax: bool = False) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 5, (2, 1), 2), nn.ReLU())
        self.blocks = nn.ModuleList([Block(8, 8, 1), Block(8, 16, 2)])
        self.head = nn.Linear(16, 5)
        self.softmax = softmax

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        x = self.head(x.mean((2, 3)))
        return x.softmax(1) if self.softmax else x


class Transformer(nn.Module):
    """Patches and a class token, with one block of attention."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 8, 8)
        self.token = nn.Parameter(torch.randn(1, 1, 16))
        self.places = nn.Parameter(torch.randn(1, 17, 16))
        self.blocks = nn.ModuleList([nn.Linear(16, 48)])
        self.norm = nn.LayerNorm(16)
        self.head = nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.places
        for block in self.blocks:
            q, k, v = block(x).chunk(3, -1)
            x = x + (q @ k.transpose(1, 2)).softmax(-1) @ v
        return self.head(self.norm(x)[:, 0])


def seeded(make: Any, *arguments: Any) -> nn.Module:
    torch.manual_seed(0)
    network: nn.Module = make(*arguments)
    return network.eval()


def export(
    network: nn.Module, path: Path, side: int = 32, batch: int = 1, dynamo: bool = False, **options: Any
) -> Path:
    example = torch.zeros(batch, 3, side, side, dtype=next(network.parameters()).dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (example,), str(path), dynamo=dynamo, verbose=False, **options)
    return path


def in_front(model: onnx.ModelProto, nodes: list[onnx.NodeProto], value: onnx.ValueInfoProto) -> onnx.ModelProto:
    """A model whose input is made by nodes of another one."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    own = list(changed.graph.node)
    del changed.graph.node[:], changed.graph.input[:]
    changed.graph.node.extend([*nodes, *own])
    changed.graph.input.append(value)
    return changed


def single(node: onnx.NodeProto, channels: int = 3, opset: int = 17, **constants: np.ndarray) -> onnx.ModelProto:
    """A model of one node from ``x`` to ``y``, with constants."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ("N", channels, "H", "W"))
    y = onnx.ValueInfoProto(name="y")
    tensors = [numpy_helper.from_array(values, name) for name, values in constants.items()]
    graph = helper.make_graph([node], "single", [x], [y], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    return model
