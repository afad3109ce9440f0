"""Read the data sets that the networks are trained and measured on.

Only NumPy is needed to read one: an exported model is evaluated where there is no torch.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile
from zlib import error as ZlibError

import numpy as np
from numpy.typing import NDArray

from models.cards.card import GeometryCard
from models.datasets.published import publication
from scs.errors import DataError

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]

_FEWEST = 8  # images that are measured, however large


@dataclass(frozen=True)
class OwnData:
    """What is known of somebody's own data, for the card of a model that was trained on them.

    Attributes:
        sha256: tells the files from any others, see :mod:`models.datasets.labelled`.
        split_seed: what the split was drawn by; None where the data came split.
        geometry: how pictures were brought to the size of the test images; None where they have had that size.
        left_out: files that were left out since they could not be read.
    """

    sha256: str
    split_seed: int | None
    geometry: GeometryCard | None
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """Labelled images in two splits or three, in the order of their file: whoever trains on them shuffles them.

    Attributes:
        name: by which cards call the data.
        train_images: ``(N, H, W, C)``; somebody's own may be larger than those to test on, to be cropped at random.
        train_labels: ``(N,)``, indices into ``classes``.
        test_images: likewise, of the size that the network is served at.
        test_labels: likewise.
        classes: their names.
        validation_images: held back from training, where the data say which; None for a part of the training images.
        validation_labels: likewise.
        own: of somebody's own data; None for a data set that is published.
    """

    name: str
    train_images: Images
    train_labels: Labels
    test_images: Images
    test_labels: Labels
    classes: tuple[str, ...]
    validation_images: Images | None = None
    validation_labels: Labels | None = None
    own: OwnData | None = None

    @cached_property
    def sha256(self) -> str:
        """What tells these data from any others: that of somebody's own, else that of all images and labels."""
        if self.own:
            return self.own.sha256
        digest = hashlib.sha256("\0".join(self.classes).encode())
        for part in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            digest.update(described(part).encode())
            digest.update(np.ascontiguousarray(part).data)
        return digest.hexdigest()


def evenly(entries: NDArray[Any], most: int) -> NDArray[Any]:
    """At most so many images or labels, evenly spread, for a file may be sorted by class."""
    return entries[:: max(1, len(entries) // most)][:most]


def affordable(most: int, images: Images) -> int:
    """Return how many of some images may be measured, where so many of 32x32 pixels may: fewer of larger ones."""
    height, width = images.shape[1:3]
    return max(_FEWEST, min(most, most * 32 * 32 // int(height * width)))


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
    arrays = read_arrays(path)
    classes = _checked_classes(path, arrays.get("classes", np.array(published.classes)))
    if len(classes) != len(published.classes):
        raise DataError(
            f"{path} should hold the {len(published.classes)} classes of {name}, but holds {len(classes)}: train "
            "pictures of your own under a name of your own"
        )
    splits = [_checked_split(path, arrays, split, published.image_shape, len(classes)) for split in ("train", "test")]
    return Dataset(name, *splits[0], *splits[1], classes)


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read all arrays of an ``.npz`` file.

    Raises:
        DataError: it is no such file, or holds something else than plain arrays.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, EOFError, TypeError, ValueError, BadZipFile, ZlibError) as error:
        raise DataError(f"{path} should be an .npz file of plain arrays, but could not be read as one") from error


def _checked_classes(path: Path, classes: NDArray[Any]) -> tuple[str, ...]:
    if classes.ndim != 1 or classes.dtype.kind != "U":
        raise DataError(f"{path}: classes should be a list of names, but is {described(classes)}")
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
        raise DataError(f"{path}: {x} should be {needed}, but is {described(arrays[x])}")
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1] or not labels.size:
        raise DataError(
            f"{path}: {y} should be a whole number for each of the {len(images)} images of {x}, at least one, "
            f"but is {described(labels)}"
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise DataError(f"{path}: {y} should be in 0..{classes - 1}, but is in {labels.min()}..{labels.max()}")
    return images, labels.astype(np.int64)


def described(array: NDArray[Any]) -> str:
    """Return the shape and type of an array, for messages."""
    return f"{array.shape} {array.dtype}"
