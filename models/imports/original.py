"""A network as it came: its graph with the weights inside, and what came with it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import onnx
from onnx.external_data_helper import load_external_data_for_model

from models.imports import hints
from models.imports.file_kinds import kind_of
from models.imports.labels import labels_of, unique
from models.imports.preprocess import Preprocess
from scs.errors import ModelError

_LARGEST = 2**31 - 2**20  # bytes: what one ONNX file can have, less what is put in front


@dataclass(frozen=True)
class Original:
    """A network as it came.

    Attributes:
        name: of its file, or what it was asked for by.
        model: with its weights inside.
        sha256: of the file.
        labels: names of its classes, where they came with it; and from where.
        labels_from: where the labels are from.
        preprocess: what came with it says, if anything.
        size: width and height of its pictures, where what came with it says so.
        licence: where the file names one.
    """

    name: str
    model: onnx.ModelProto
    sha256: str
    labels: list[str] | None = None
    labels_from: str = ""
    preprocess: Preprocess | None = None
    size: tuple[int, int] | None = None
    licence: str = "unknown"

    def with_what_came(
        self, labels: list[str] | None, labels_from: str, preprocess: Preprocess, licence: str = "unknown"
    ) -> Original:
        """Return the same with labels and preprocessing that came with it by another way."""
        named = unique(labels) if labels else None
        return replace(self, labels=named, labels_from=labels_from, preprocess=preprocess, licence=licence)


def read_original(path: Path) -> Original:
    """Read an ONNX file, or a folder with one and its configuration, as Hugging Face has them.

    Raises:
        ModelError: there is none, it cannot be read, or its weights are missing.
    """
    file = _file_of(path)
    model = load_whole(file)
    metadata = {pair.key: pair.value for pair in model.metadata_props}
    folder = path if path.is_dir() else file.parent
    labels, labels_from = labels_of(metadata, folder)
    prepared = hints.from_metadata(metadata) or hints.from_folder(folder)
    licence = metadata.get("license") or metadata.get("licence") or "unknown"
    return Original(
        name=path.name if path.is_dir() else file.stem,
        model=model,
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        labels=labels,
        labels_from=labels_from,
        preprocess=prepared,
        size=hints.size_of(metadata) or (prepared.size if prepared else None),
        licence=licence[:200],
    )


def _file_of(path: Path) -> Path:
    """Return the ONNX file at a path: the file itself, or the one of a folder."""
    if path.is_file():
        return path
    if not path.is_dir():
        raise ModelError(f"an import needs an ONNX file, a folder with one, or a network of torch; '{path}' is none")
    usual = [path / "model.onnx", path / "onnx" / "model.onnx"]
    found = [file for file in usual if file.is_file()] or sorted(path.glob("*.onnx"))
    if not found:
        raise ModelError(f"the folder needs a model.onnx; '{path.name}' has no ONNX file")
    if len(found) > 1 and found[0] not in usual:
        raise ModelError(f"the folder needs one ONNX file; '{path.name}' has {len(found)}: name one of them")
    return found[0]


def load_whole(file: Path) -> onnx.ModelProto:
    """Load an ONNX file and the files that hold its weights, into one model.

    Raises:
        ModelError: it is no ONNX file, it or its weights are not there, or they are too large for one file.
    """
    try:
        model = onnx.load(str(file), load_external_data=False)
    except OSError as error:
        raise ModelError(f"'{file.name}' cannot be read: {error.strerror}") from None
    except Exception:  # of protobuf, whose words say nothing of the file
        raise ModelError(f"an import needs an ONNX file; '{file.name}' is {kind_of(file)}") from None
    if not model.graph.node:
        kind = "an ONNX file without nodes" if model.graph.ByteSize() else kind_of(file)
        raise ModelError(f"an import needs an ONNX file with a network; '{file.name}' is {kind}")
    try:
        load_external_data_for_model(model, str(file.parent))
    except Exception as error:  # of onnx: missing, outside the folder, too short
        raise ModelError(f"'{file.name}' has its weights in other files, and these cannot be read: {error}") from None
    if model.ByteSize() > _LARGEST:
        raise ModelError(
            f"a model is one file below 2 GiB; '{file.name}' has {model.ByteSize()} bytes: export it in float16"
        )
    return model
