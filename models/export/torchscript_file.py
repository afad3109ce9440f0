"""Export of a network to a TorchScript file."""

from __future__ import annotations

import copy
import io
import warnings
import zipfile

import torch
from torch import Tensor, nn

from models.networks import Network


def export_torchscript(network: Network) -> bytes:
    """Export a network to TorchScript: ``forward`` gives the logits, ``layers`` a dictionary of those and every map."""
    example = torch.zeros(1, 32, 32, network.channels, dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls TorchScript deprecated
        traced = torch.jit.trace_module(
            _WithNamedLayers(copy.deepcopy(network)), {"forward": example, "layers": example}, strict=False
        )
        buffer = io.BytesIO()
        torch.jit.save(traced, buffer)
    return _without_stack_traces(buffer)


class _WithNamedLayers(nn.Module):
    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network.eval()

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.network(image)
        return logits

    def layers(self, image: Tensor) -> dict[str, Tensor]:
        maps = self.network.layers(image)
        return {"logits": self.network.logits(maps), **maps}


def _without_stack_traces(file: io.BytesIO) -> bytes:
    """Copy a TorchScript file without its debugging records, which hold paths of the machine that exported."""
    kept = io.BytesIO()
    with zipfile.ZipFile(file) as before, zipfile.ZipFile(kept, "w") as after:
        for member in before.infolist():
            if not member.filename.endswith(".debug_pkl"):
                after.writestr(member, before.read(member))
    return kept.getvalue()
