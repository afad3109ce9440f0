"""Networks of torch: exported to ONNX, SCS layers as the op that the native kernels run."""

from __future__ import annotations

import copy
import hashlib
import importlib
import importlib.util
import logging
import sys
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn

from models.export.onnx_file import with_onnx_op
from models.imports.original import Original, load_whole
from models.imports.preprocess import Preprocess, from_timm, geometry
from models.onnx import op as onnx_op
from scs.errors import MissingPackageError, ModelError

_DEFAULT_SIZE = (224, 224)
_TORCHSCRIPT_OPSET = 17


def open_torch(source: str, weights: Path | None, size: tuple[int, int] | None) -> Original:
    """Open a network of torch by what it is called on the command line.

    Args:
        source: ``net.py:make_net``, a TorchScript file, ``timm:NAME`` or ``torchvision:NAME``.
        weights: a file of ``torch.save``, of a state dictionary, for the first.
        size: width and height of its pictures.

    Raises:
        ModelError: it cannot be read or exported; the message says why.
    """
    kind, _, name = source.partition(":")
    if kind == "timm":
        return _open_timm(name, size)
    if kind == "torchvision":
        return _open_torchvision(name, size)
    path, _, function = source.rpartition(":")
    if path.endswith(".py"):
        network = _called(Path(path), function)
        if weights is not None:
            _load_weights(network, weights)
        return export_whole(network, Path(path).stem, size or _DEFAULT_SIZE)
    file = Path(source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch calls TorchScript deprecated
            scripted = torch.jit.load(str(file), map_location="cpu")
    except (RuntimeError, ValueError, OSError) as error:
        raise ModelError(
            f"'{file.name}' needs to be TorchScript; it is not, or damaged: where it is weights, give the network "
            f"as net.py:make_net and these by --weights ({str(error).splitlines()[0][:80]})"
        ) from None
    return export_whole(scripted, file.stem, size or _DEFAULT_SIZE)


def _called(path: Path, function: str) -> nn.Module:
    """Run a Python file, and return the network that a function of it makes."""
    if not path.is_file():
        raise ModelError(f"there is no file '{path}'")
    spec = importlib.util.spec_from_file_location(f"imported_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent.resolve()))  # as Python does for a script
    try:
        spec.loader.exec_module(module)
        made = getattr(module, function)()
    except AttributeError:
        raise ModelError(f"'{path.name}' has no function '{function}' that can be called without arguments") from None
    except Exception as error:  # whatever a foreign file stumbles over
        raise ModelError(
            f"'{path.name}' cannot make a network by {function}(): {type(error).__name__}: {error}"
        ) from None
    finally:
        sys.path.pop(0)
    if not isinstance(made, nn.Module):
        raise ModelError(f"{function}() of '{path.name}' needs to return a torch.nn.Module; {type(made).__name__} came")
    return made


def _load_weights(network: nn.Module, path: Path) -> None:
    """Load a state dictionary, also one that lies within a training's checkpoint."""
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises what it stumbles over
        raise ModelError(
            f"'{path.name}' needs to be weights, of torch.save(net.state_dict()): {str(error)[:120]}"
        ) from None
    for key in ("state_dict", "model", "model_state_dict"):
        if isinstance(saved, Mapping) and isinstance(saved.get(key), Mapping):
            saved = saved[key]
    try:
        network.load_state_dict({str(name).removeprefix("module."): value for name, value in saved.items()})
    except (RuntimeError, AttributeError) as error:
        raise ModelError(
            f"the weights of '{path.name}' do not fit the network: {' '.join(str(error).split())[:300]}"
        ) from None


def _open_timm(name: str, size: tuple[int, int] | None) -> Original:
    timm = importlib.import_module("timm")

    try:
        network = timm.create_model(name, pretrained=True)
    except Exception as error:  # unknown names, and no network to load weights by
        raise ModelError(f"timm has no '{name[:60]}' with weights here: {str(error)[:160]}") from None
    prepared = from_timm(network.pretrained_cfg, "timm's pretrained_cfg")
    original = export_whole(network, name, size or prepared.size or _DEFAULT_SIZE)
    labels = _labels_of_timm(timm, network)
    return original.with_what_came(
        labels, "timm" if labels else "", prepared, str(network.pretrained_cfg.get("license") or "unknown")
    )


def _labels_of_timm(timm: Any, network: nn.Module) -> list[str] | None:
    """Return the names of ImageNet's classes where timm says that a network's are these; None for a backbone."""
    subset = timm.data.infer_imagenet_subset(network)
    if subset is None:
        return None
    info = timm.data.ImageNetInfo(subset)
    return [str(info.index_to_description(number)) for number in range(info.num_classes())]


def _open_torchvision(name: str, size: tuple[int, int] | None) -> Original:
    try:
        vision = importlib.import_module("torchvision.models")
    except (ImportError, RuntimeError) as error:
        raise MissingPackageError(f"torchvision:{name} needs torchvision, which cannot be imported: {error}") from None
    try:
        weights = vision.get_model_weights(name).DEFAULT
        network = vision.get_model(name, weights=weights)
    except (ValueError, OSError) as error:
        raise ModelError(f"torchvision has no '{name[:60]}' with weights here: {str(error)[:160]}") from None
    prepared = _from_torchvision(weights.transforms())
    original = export_whole(network, name, size or prepared.size or _DEFAULT_SIZE)
    return original.with_what_came(list(weights.meta["categories"]), "torchvision", prepared, "BSD-3-Clause")


def _from_torchvision(transforms: Any) -> Preprocess:
    """Read the preset of transforms that comes with torchvision's weights."""
    crop, resize = int(transforms.crop_size[0]), int(transforms.resize_size[0])
    cut = geometry("crop", resize, str(transforms.interpolation.value), antialias=bool(transforms.antialias))
    mean, deviation = tuple(transforms.mean), tuple(transforms.std)
    size = (crop, crop)
    return Preprocess("torchvision's transforms", "rgb", 1 / 255, mean, deviation, cut, size)


def export_whole(network: nn.Module, name: str, size: tuple[int, int]) -> Original:
    """Export a network that takes float pictures ``(N, C, H, W)``, SCS layers as the op, and read what was exported.

    Raises:
        ModelError: torch cannot export it; the message says why.
    """
    width, height = size
    network = with_onnx_op(copy.deepcopy(network).eval()) if not _is_scripted(network) else network.eval()
    channels = next((int(p.shape[1]) for p in network.parameters() if p.ndim == 4), 3)
    example = torch.zeros(2, channels if channels in (1, 3) else 3, height, width)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it tells of every package that is not installed
    try:
        model = _exported(network, example)
    except Exception as error:  # the exporter raises what it stumbles over
        said = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise ModelError(f"torch cannot export {name} at {width}x{height}: {said}") from None
    onnx_op.attach(model)
    digest = hashlib.sha256(model.SerializeToString()).hexdigest()
    return Original(name, model, digest, size=size)


def _is_scripted(network: nn.Module) -> bool:
    return isinstance(network, torch.jit.ScriptModule)


def _exported(network: nn.Module, example: torch.Tensor) -> onnx.ModelProto:
    """Export by torch's newer exporter, with a free batch or, where that does not work, with a fixed one."""
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder, torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter warns of its own internals
        file = Path(folder) / "model.onnx"
        if _is_scripted(network):
            torch.onnx.export(
                network, (example,), str(file), dynamo=False, opset_version=_TORCHSCRIPT_OPSET,
                input_names=["picture"], dynamic_axes={"picture": [0]},
            )  # fmt: skip
            return load_whole(file)
        options: dict[str, Any] = {"dynamo": True, "verbose": False, "input_names": ["picture"]}
        free = ({0: torch.export.Dim.DYNAMIC},)
        try:
            program = torch.onnx.export(
                network, (example,), opset_version=onnx_op.ONNX_OPSET, dynamic_shapes=free, **options
            )
        except Exception:  # a network that looks at the size of its batch
            program = torch.onnx.export(network, (example[:1],), opset_version=onnx_op.ONNX_OPSET, **options)
        assert program is not None
        program.save(str(file))
        return load_whole(file)
