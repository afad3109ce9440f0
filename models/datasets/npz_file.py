"""Labelled pictures in the arrays of an ``.npz`` file."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.datasets.dataset import Images, described, read_arrays
from models.datasets.labelled import SPLIT_NAMES, LabelledPicture, LabelledPictures, SplitName, checked_classes
from scs.errors import DataError

_NEEDED = "x and y, or x_train and y_train with x_test and y_test"


def read_npz(path: Path) -> LabelledPictures:
    """Read pictures ``x`` and labels ``y``, or those of a split: ``x_train`` and ``y_train``, likewise val and test.

    Pictures are uint8, ``(N, H, W)`` or ``(N, H, W, C)`` with C 1 or 3. Labels are ``(N,)``, names, or whole numbers,
    which ``classes`` names where the file has that.

    Args:
        path: of the file.

    Returns:
        The pictures in the order of the file, whose SHA-256 is the digest.

    Raises:
        DataError: the file does not hold such arrays; the message says what was needed and what came.
    """
    arrays = read_arrays(path)
    found: dict[SplitName | None, tuple[Images, NDArray[Any]]] = {}
    for suffix, split in {"": None, **{f"_{name}": split for name, split in SPLIT_NAMES.items()}}.items():
        if f"x{suffix}" in arrays or f"y{suffix}" in arrays:
            found[split] = _checked(path, arrays, suffix)
    if not found or (None in found and len(found) > 1):
        came = ", ".join(sorted(arrays)[:10]) or "none"
        raise DataError(f"{path.name} should hold {_NEEDED}; it holds {came}")
    classes, numbers = _numbered(path, arrays, [labels for _, labels in found.values()])
    pictures = (
        LabelledPicture(f"{path.name}[{i}]", int(label), split, _reader(image))
        for (split, (images, _)), labels in zip(found.items(), numbers, strict=True)
        for i, (image, label) in enumerate(zip(images, labels, strict=True))
    )
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return LabelledPictures(path.stem, tuple(pictures), classes, digest)


def _checked(path: Path, arrays: Mapping[str, NDArray[Any]], suffix: str) -> tuple[Images, NDArray[Any]]:
    x, y = f"x{suffix}", f"y{suffix}"
    if missing := {x, y} - arrays.keys():
        raise DataError(f"{path.name} should hold {x} and {y}, but has no {' and no '.join(sorted(missing))}")
    images, labels = arrays[x], arrays[y]
    shape = images.shape if images.ndim == 4 else (*images.shape, 1)
    if images.dtype != np.uint8 or len(shape) != 4 or shape[3] not in (1, 3) or 0 in shape:
        needed = "(N, H, W), (N, H, W, 1) or (N, H, W, 3) uint8"
        raise DataError(f"{path.name}: {x} should be {needed}, but is {described(images)}")
    if labels.dtype.kind not in "iuU" or labels.shape != shape[:1]:
        raise DataError(
            f"{path.name}: {y} should be a whole number or a name for each of the {len(images)} images of {x}, "
            f"but is {described(labels)}"
        )
    return images.reshape(shape), labels


def _numbered(
    path: Path, arrays: Mapping[str, NDArray[Any]], labels: list[NDArray[Any]]
) -> tuple[tuple[str, ...], Iterator[NDArray[np.int64]]]:
    """Return the names of the classes, and for each split the labels as indices into them."""
    kinds = {each.dtype.kind == "U" for each in labels}
    if len(kinds) > 1:
        raise DataError(f"{path.name}: labels should be all names or all numbers, but both came")
    named = arrays.get("classes")
    if named is None or True in kinds:
        classes = checked_classes(path.name, [str(label) for each in labels for label in np.unique(each)])
        index = {name: number for number, name in enumerate(classes)}
        return classes, (np.array([index[str(label)] for label in each], np.int64) for each in labels)
    if named.ndim != 1 or named.dtype.kind != "U" or len({*named.tolist()}) != len(named):
        raise DataError(f"{path.name}: classes should be a list of names, each once, but is {described(named)}")
    checked_classes(path.name, named.tolist())
    low, high = min(int(each.min()) for each in labels), max(int(each.max()) for each in labels)
    if low < 0 or high >= len(named):
        raise DataError(f"{path.name}: labels should be in 0..{len(named) - 1}, but are in {low}..{high}")
    return tuple(named.tolist()), (each.astype(np.int64) for each in labels)


def _reader(image: Images) -> Callable[[], bytes]:
    def read() -> bytes:
        buffer = io.BytesIO()
        np.save(buffer, image, allow_pickle=False)
        return buffer.getvalue()

    return read
