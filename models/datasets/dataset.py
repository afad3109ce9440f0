"""The data sets that the networks are trained and measured on: read from a folder, or fetched from their publisher.

Only NumPy is needed to read one: an exported model is evaluated where there is no torch.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import BadZipFile
from zlib import error as ZlibError

import numpy as np
from numpy.typing import NDArray

from scs.errors import DataError, UnknownNameError

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Dataset:
    """Labelled images in a training and a test split, in the order of their file (not shuffled)."""

    name: str
    train_images: Images  # (N, H, W, C)
    train_labels: Labels  # (N,), indices into classes
    test_images: Images
    test_labels: Labels
    classes: tuple[str, ...]


def evenly(entries: NDArray[Any], most: int) -> NDArray[Any]:
    """Return at most ``most`` images or labels at even intervals, because a file may be sorted by class."""
    return entries[:: max(1, len(entries) // most)][:most]


@dataclass(frozen=True)
class PublishedFile:
    """A file as its publisher serves it."""

    url: str
    size: int  # bytes
    sha256: str


@dataclass(frozen=True)
class Publication:
    """What a data set holds, where it is published, and how the publisher's files are read."""

    image_shape: tuple[int, int, int]  # (H, W, C)
    classes: tuple[str, ...]
    files: tuple[PublishedFile, ...]
    read: Callable[[Sequence[Path]], dict[str, Images]]  # -> x_train, y_train, x_test, y_test


def read_mnist(paths: Sequence[Path]) -> dict[str, Images]:
    """Read four gzipped IDX files: images and labels to train on, images and labels to test on."""
    return {key: read_idx(path) for key, path in zip(("x_train", "y_train", "x_test", "y_test"), paths, strict=True)}


def read_idx(path: Path) -> Images:
    """Read one gzipped IDX file of bytes: 0, 0, type, number of dimensions, each dimension, then the values."""
    content = gzip.decompress(path.read_bytes())
    dimensions = content[3]
    shape = struct.unpack_from(f">{dimensions}I", content, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def read_cifar10(paths: Sequence[Path]) -> dict[str, Images]:
    """Read the binary archive, whose records are a label and the 32x32 red, then green, then blue values."""
    (path,) = paths
    with tarfile.open(path) as archive:  # one pass from front to back: a gzipped archive cannot be sought in cheaply
        batches = {Path(member.name).name: file.read() for member in archive if (file := archive.extractfile(member))}

    def split(*names: str) -> tuple[Images, Images]:
        records = np.frombuffer(b"".join(batches[name] for name in names), np.uint8).reshape(-1, 1 + 3 * 32 * 32)
        return records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), records[:, 0]

    x_train, y_train = split(*(f"data_batch_{number}.bin" for number in range(1, 6)))
    x_test, y_test = split("test_batch.bin")
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


# Sizes and checksums are those of TensorFlow Datasets (url_checksums/*.txt), checksums of the first two also those of
# torchvision (prototype/datasets/_builtin/mnist.py). MNIST's own site no longer serves its files; torchvision takes
# them from the mirror named here. Fashion-MNIST comes from the publisher's repository, which unlike its bucket has
# TLS. CIFAR-10 comes in its binary form, as the other one is a pickle, which can run code.
_MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist"
_FASHION = "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion"
_CIFAR = "https://www.cs.toronto.edu/~kriz"

DATASETS: dict[str, Publication] = {
    "mnist": Publication(
        image_shape=(28, 28, 1),
        classes=tuple("0123456789"),
        files=(
            PublishedFile(
                f"{_MNIST}/train-images-idx3-ubyte.gz",
                9_912_422,
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            ),
            PublishedFile(
                f"{_MNIST}/train-labels-idx1-ubyte.gz",
                28_881,
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            ),
            PublishedFile(
                f"{_MNIST}/t10k-images-idx3-ubyte.gz",
                1_648_877,
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            ),
            PublishedFile(
                f"{_MNIST}/t10k-labels-idx1-ubyte.gz",
                4_542,
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            ),
        ),
        read=read_mnist,
    ),
    "fashion-mnist": Publication(
        image_shape=(28, 28, 1),
        classes=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        files=(
            PublishedFile(
                f"{_FASHION}/train-images-idx3-ubyte.gz",
                26_421_880,
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            ),
            PublishedFile(
                f"{_FASHION}/train-labels-idx1-ubyte.gz",
                29_515,
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            ),
            PublishedFile(
                f"{_FASHION}/t10k-images-idx3-ubyte.gz",
                4_422_102,
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            ),
            PublishedFile(
                f"{_FASHION}/t10k-labels-idx1-ubyte.gz",
                5_148,
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
        ),
        read=read_mnist,
    ),
    "cifar10": Publication(
        image_shape=(32, 32, 3),
        classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        files=(
            PublishedFile(
                f"{_CIFAR}/cifar-10-binary.tar.gz",
                170_052_171,
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            ),
        ),
        read=read_cifar10,
    ),
}


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
    publication = _publication(name)
    folder = data_folder(folder)
    path = folder and folder / f"{name}.npz"
    if path is None or not path.is_file():
        place = f" in {folder}" if folder else ""
        raise DataError(
            f"no {name}.npz{place}: name a folder that holds it with --data (or SCS_DATA), "
            "or fetch it from its publisher with --download"
        )
    arrays = _read_arrays(path)
    classes = _checked_classes(path, arrays.get("classes", np.array(publication.classes)))
    splits = [_checked_split(path, arrays, split, publication.image_shape, len(classes)) for split in ("train", "test")]
    return Dataset(name, *splits[0], *splits[1], classes)


def download_dataset(name: str, folder: Path, progress: Callable[[int, int], None] | None = None) -> Path:
    """Download a data set from its publisher to ``<folder>/<name>.npz``, unless the file is already there.

    The file appears only once it is whole, and a failure leaves nothing behind.

    Args:
        name: one of ``DATASETS``.
        folder: where the file shall lie; made where it is missing.
        progress: called after each piece with the bytes received so far and the bytes there are in all.

    Returns:
        The path of the file.

    Raises:
        UnknownNameError: there is no data set of that name.
        DataError: the publisher's files could not be fetched, are not what their checksums say, or cannot be stored.
    """
    publication = _publication(name)
    path = folder / f"{name}.npz"
    if path.is_file():
        return path
    total = sum(file.size for file in publication.files)
    received = 0

    def report(piece: int) -> None:
        nonlocal received
        received += piece
        if progress:
            progress(received, total)

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder, prefix=f".{name}-") as scratch:  # beside its target, so that a rename moves
            parts = [Path(scratch) / str(index) for index in range(len(publication.files))]
            for file, part in zip(publication.files, parts, strict=True):
                _fetch(file, part, report)
            whole = Path(scratch) / path.name
            np.savez(whole, allow_pickle=False, classes=np.array(publication.classes), **publication.read(parts))
            whole.replace(path)
    except OSError as error:
        raise DataError(f"{path.name} could not be stored in {folder}: {error.strerror or error}") from error
    return path


def _fetch(file: PublishedFile, target: Path, report: Callable[[int], None]) -> None:
    import httpx2 as httpx  # here, because reading a data set does without it

    digest = hashlib.sha256()
    size = 0
    try:
        # "identity", and the raw bytes: some servers offer to unpack a .gz on the way, and the checksum is of the .gz
        with (
            httpx.stream(
                "GET", file.url, headers={"Accept-Encoding": "identity"}, follow_redirects=True, timeout=30
            ) as response,
            target.open("wb") as output,
        ):
            if not response.is_success:
                raise DataError(f"{file.url} could not be fetched: the server answered {response.status_code}")
            for piece in response.iter_raw():
                output.write(piece)
                digest.update(piece)
                size += len(piece)
                report(len(piece))
    except httpx.HTTPError as error:
        raise DataError(f"{file.url} could not be fetched: {str(error) or type(error).__name__}") from error
    if digest.hexdigest() != file.sha256:
        raise DataError(
            f"{file.url} should be {file.size} bytes with SHA-256 {file.sha256}, "
            f"but {size} bytes with SHA-256 {digest.hexdigest()} came"
        )


def _publication(name: str) -> Publication:
    try:
        return DATASETS[name]
    except KeyError:
        raise UnknownNameError(f"no data set is called {name!r}; there are {', '.join(DATASETS)}") from None


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
    """Return the split's images with a channel axis and its labels as int64, or raise what is wrong with them."""
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
