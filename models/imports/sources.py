"""Where networks are imported from: files, Python, and by name."""

from __future__ import annotations

import re
from pathlib import Path

from models.imports.original import Original, read_original
from scs.errors import MissingPackageError, ModelError

_TORCH_SUFFIXES = {".pt", ".pth", ".ts", ".torchscript"}
_OTHERS = {
    ".h5": "a Keras file: convert it by `python -m tf2onnx.convert --keras model.h5 --output model.onnx`",
    ".keras": "a Keras file: `model.export('model.onnx', format='onnx')` in Keras writes what can be imported",
    ".pb": "a TensorFlow graph: convert it by `python -m tf2onnx.convert --saved-model FOLDER --output model.onnx`",
    ".tflite": "a TensorFlow Lite file: convert it by `python -m tf2onnx.convert --tflite FILE --output model.onnx`",
    ".safetensors": "weights without a network: give the network as net.py:make_net and these by --weights",
    ".joblib": "a pickled scikit-learn pipeline: convert it by skl2onnx.to_onnx",
    ".pkl": "a pickle, a program that would be run to be read: export the network to ONNX",
    ".engine": "a TensorRT engine, bound to one GPU: import the ONNX file that it was built from",
    ".mlmodel": "a Core ML file: export the network that it was converted from to ONNX",
}


def open_source(source: str, weights: Path | None = None, size: tuple[int, int] | None = None) -> Original:
    """Open a network by what it is called on the command line.

    Args:
        source: a file, a folder, ``net.py:make_net``, ``timm:NAME``, ``torchvision:NAME``, or a name of the catalogue.
        weights: of a network in Python.
        size: width and height of the picture with which a network of torch is exported.

    Raises:
        ModelError: it cannot be read; the message says what would work.
        MissingPackageError: it needs a package that is not installed.
    """
    path = Path(source)
    if path.suffix in _OTHERS and not path.is_dir():
        raise ModelError(f"an import needs an ONNX file or a network of torch; '{path.name}' is {_OTHERS[path.suffix]}")
    if _is_saved_model(path):
        raise ModelError(f"an import needs an ONNX file or a network of torch; '{path.name}' is {_OTHERS['.pb']}")
    is_torch = path.suffix in _TORCH_SUFFIXES or re.fullmatch(r"(timm|torchvision):\S+|.+\.py:\w+", source) is not None
    if not is_torch and (path.exists() or "/" in source or path.suffix == ".onnx"):
        return read_original(path)
    try:
        from models.imports import named, torch_sources

        if is_torch:
            return torch_sources.open_torch(source, weights, size)
        return named.open_named(source)
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"'{source[:60]}' needs {error.name}, which is not installed: pip install 'scs-serve[train]' for networks "
            "of torch, 'scs-serve[models]' for those by name, timm and torchvision by themselves"
        ) from None


def _is_saved_model(path: Path) -> bool:
    return path.is_dir() and (path / "saved_model.pb").is_file()
