"""Read the data sets that the networks are trained and measured on.

Only NumPy is needed to read one: an exported model is evaluated where there is no torch.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile
from zlib import error as ZlibError

import numpy as np
from numpy.typing import NDArray

from models.datasets.published import publication
from scs.errors import DataError

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Dataset:
    """Labelled images in two splits, in the order of their file: whoever trains on them shuffles them."""

    name: str
    train_images: Images  # (N, H, W, C)
    train_labels: Labels  # (N,), indices into classes
    test_images: Images
    test_labels: Labels
    classes: tuple[str, ...]


def evenly(entries: NDArray[Any], most: int) -> NDArray[Any]:
    """At most so many images or labels, evenly spread, for a file may be sorted by class."""
    return entries[:: max(1, len(entries) // most)][:most]


def data_folder(folder: Path | None = None) -> Path | None:
    """Return the folder that was named, else the one that ``SCS_DATA`` names, else None."""
    named = os.environ.get("SCS_DATA")
    return folder or (Path(named) if named else None)


def load_dataset(name: str, folder: Path | None = None) -> Dataset:
    """Read a data set from ``<folder>/<name>.npz``.

    Args:
        name: one of ``DATASETS``.
        folder: where the file lies; ``SCS_DATA`` says so where this does not.

    Returns:
        The images and labels in the order of the file, which may be sorted by class.

    Raises:
        UnknownNameError: there is no data set of that name.
        DataError: the file is missing, or does not hold such images and labels.
    """
    published = publication(name)
    folder = data_folder(folder)
    path = folder and folder / f"{name}.npz"
    if path is None or not path.is_file():
        place = f" in {folder}" if folder else ""
        raise DataError(
            f"no {name}.npz{place}: name a folder that holds it with --data (or SCS_DATA), "
            "or fetch it from its publisher with --download"
        )
    arrays = _read_arrays(path)
    classes = _checked_classes(path, arrays.get("classes", np.array(published.classes)))
    splits = [_checked_split(path, arrays, split, published.image_shape, len(classes)) for split in ("train", "test")]
    return Dataset(name, *splits[0], *splits[1], classes)


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, EOFError, TypeError, ValueError, BadZipFile, ZlibError) as error:
        raise DataError(f"{path} should be an .npz file of plain arrays, but could not be read as one") from error


def _checked_classes(path: Path, classes: NDArray[Any]) -> tuple[str, ...]:
    if classes.ndim != 1 or classes.dtype.kind != "U":
        raise DataError(f"{path}: classes should be a list of names, but is {_described(classes)}")
    return tuple(classes.tolist())


def _checked_split(
    path: Path, arrays: Mapping[str, NDArray[Any]], split: str, image_shape: tuple[int, int, int], classes: int
) -> tuple[Images, Labels]:
    """Return the split's images with a channel axis and its labels as int64, or say what is wrong with them."""
    x, y = f"x_{split}", f"y_{split}"
    if missing := {x, y} - arrays.keys():
        raise DataError(f"{path} should hold {x} and {y}, but has no {' and no '.join(sorted(missing))}")
    images, labels = arrays[x], arrays[y]
    if images.ndim == 3:
        images = images[..., np.newaxis]  # grey images may come without a channel axis
    if images.dtype != np.uint8 or images.shape[1:] != image_shape:
        needed = "(N, {}, {}, {}) uint8".format(*image_shape)
        raise DataError(f"{path}: {x} should be {needed}, but is {_described(arrays[x])}")
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1] or not labels.size:
        raise DataError(
            f"{path}: {y} should be a whole number for each of the {len(images)} images of {x}, at least one, "
            f"but is {_described(labels)}"
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise DataError(f"{path}: {y} should be in 0..{classes - 1}, but is in {labels.min()}..{labels.max()}")
    return images, labels.astype(np.int64)


def _described(array: NDArray[Any]) -> str:
    return f"{array.shape} {array.dtype}"
