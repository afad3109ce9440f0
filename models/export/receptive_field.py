"""Receptive fields: what part of the image a unit of a layer sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from models.networks import CLASS_MAP, Network
from scs.nn.layers import MaxAbsPool2d, SharpenedCosineSimilarity2d
from scs.nn.similarity import resolve_padding

_WINDOWS = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d, MaxAbsPool2d, SharpenedCosineSimilarity2d)


@dataclass(frozen=True)
class ReceptiveField:
    """The receptive field of a layer: unit ``i`` sees ``size`` pixels from ``offset + i * stride`` on each axis."""

    size: int = 1
    stride: int = 1
    offset: int = 0

    def through(self, module: nn.Module) -> ReceptiveField:
        """Return the receptive field of the output of ``module``, where this is the field of its input."""
        field = self
        for layer in module.modules():
            if isinstance(layer, _WINDOWS):
                field = field._through_window(layer)
        return field

    def _through_window(self, layer: nn.Module) -> ReceptiveField:
        size, stride = _first(layer.kernel_size), _first(layer.stride)
        dilation = _first(getattr(layer, "dilation", 1))
        padding: Any = layer.padding if isinstance(layer.padding, str) else _first(layer.padding)
        before, _ = resolve_padding(padding, (size,), (dilation,))
        return ReceptiveField(
            size=self.size + dilation * (size - 1) * self.stride,
            stride=self.stride * stride,
            offset=self.offset - before[0] * self.stride,
        )


def receptive_fields(network: Network) -> dict[str, ReceptiveField]:
    """Compute the receptive field of each layer of a network, by the layer's name."""
    field = ReceptiveField().through(network.stem)
    fields = {"stem": field}
    for i, block in enumerate(network.blocks):
        field = (field.through(network.pool) if i in network.halved else field).through(block)
        fields[f"block{i + 1}"] = field
    fields[CLASS_MAP] = field.through(network.head)
    return fields


def _first(value: object) -> int:
    return int(value[0]) if isinstance(value, tuple | list) else int(value)  # type: ignore[call-overload]
