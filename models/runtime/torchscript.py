"""Run a TorchScript model, where torch is installed."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from models.cards.card import ModelCard
from models.onnx import native
from models.runtime.device import Device, first_line
from models.runtime.session import Array, Gradients, Images, to_float32
from scs.errors import DeviceError, GradientError, MissingPackageError, ModelError, OptionError


class TorchScriptModel:
    """A TorchScript model, which has ``forward`` for the logits and ``layers`` for those and every map."""

    def __init__(self, content: bytes, card: ModelCard, device: Device) -> None:
        try:
            import torch
        except ImportError:
            raise MissingPackageError(
                f"{card.name} {card.version} is TorchScript and needs torch, which is not installed: "
                "pip install 'scs-serve[train]'"
            ) from None
        if device == "cuda" and not torch.cuda.is_available():
            raise DeviceError(f"{card.name} {card.version} needs a torch that sees CUDA; this one does not")
        self._name = f"{card.name} {card.version}"
        self.device = device
        self.concurrent_runs = 1
        self.kernels: native.Kernels | None = None
        try:
            self._module = torch.jit.load(io.BytesIO(content), map_location=device)
        except RuntimeError as error:
            raise ModelError(f"{card.name} {card.version} could not be loaded: {first_line(error)}") from None

    def logits(self, images: Images) -> Array:
        """Logits ``(N, classes)`` of images ``(N, H, W, C)``."""
        import torch

        with torch.inference_mode():
            return _to_numpy(self._module(torch.from_numpy(_writable(images)).to(self.device)))

    def layers(self, images: Images, names: Sequence[str]) -> dict[str, Array]:
        """Logits under the name ``logits``, and the maps ``(N, K, H', W')`` of the layers named."""
        import torch

        with torch.inference_mode():
            maps = self._module.layers(torch.from_numpy(_writable(images)).to(self.device))
            missing = [name for name in ["logits", *names] if name not in maps]
            if missing:
                raise ModelError(f"layers() of a TorchScript model needs to return '{missing[0][:60]}'; it does not")
            return {name: _to_numpy(maps[name]) for name in ["logits", *names]}

    def gradients(self, images: Images, name: str, direction: Array) -> Gradients:
        """Gradients of the logits times ``direction`` by a layer's maps."""
        import torch

        for parameter in self._module.parameters():  # or nothing that comes of bytes would have a history
            parameter.requires_grad_()
        # Optimized, a layer and what is behind it may become one step, which has no gradient between the two.
        with torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
            maps = self._module.layers(torch.from_numpy(_writable(images)).to(self.device))
        logits, layer = maps["logits"], maps[name]
        if not layer.requires_grad:
            raise GradientError(f"a gradient by {name} needs parameters in front of it; the TorchScript file has none")
        along = (logits * torch.from_numpy(direction).to(self.device)).sum()
        (gradients,) = torch.autograd.grad(along, layer, allow_unused=True)
        if gradients is None:
            raise GradientError(f"a gradient by {name} needs logits that depend on it; these do not")
        return Gradients(*(_to_numpy(each.detach()) for each in (logits, layer, gradients)))

    def kernel_input(self, images: Images, name: str) -> Array:
        """Refuse: a TorchScript model is a program, whose kernels are not told apart."""
        raise OptionError(f"kernels can be read of a model that is ONNX; {self._name} is TorchScript")


def _writable(images: Images) -> Images:
    """The images, or a copy where they may not be written to, as of bytes: torch's tensors always may."""
    return np.require(images, requirements="W")


def _to_numpy(value: Any) -> Array:
    import torch

    if not isinstance(value, torch.Tensor):  # what a program returns is anything
        return to_float32(value)
    return to_float32((value.float() if value.dtype == torch.bfloat16 else value).cpu().numpy())
