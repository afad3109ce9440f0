"""The data sets that are known: what each holds, where it is published, and how the publisher's files are read."""

from __future__ import annotations

import gzip
import struct
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scs.errors import UnknownNameError

_Bytes = NDArray[np.uint8]


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
    read: Callable[[Sequence[Path]], dict[str, _Bytes]]  # -> x_train, y_train, x_test, y_test


def read_mnist(paths: Sequence[Path]) -> dict[str, _Bytes]:
    """Read four gzipped IDX files: images and labels to train on, images and labels to test on."""
    return {key: read_idx(path) for key, path in zip(("x_train", "y_train", "x_test", "y_test"), paths, strict=True)}


def read_idx(path: Path) -> _Bytes:
    """Read one gzipped IDX file of bytes: 0, 0, type, number of dimensions, each dimension, then the values."""
    content = gzip.decompress(path.read_bytes())
    dimensions = content[3]
    shape = struct.unpack_from(f">{dimensions}I", content, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def read_cifar10(paths: Sequence[Path]) -> dict[str, _Bytes]:
    """Read the binary archive, whose records are a label and the 32x32 red, then green, then blue values."""
    (path,) = paths
    with tarfile.open(path) as archive:  # one pass from front to back: a gzipped archive cannot be sought in cheaply
        batches = {Path(member.name).name: file.read() for member in archive if (file := archive.extractfile(member))}

    def split(*names: str) -> tuple[_Bytes, _Bytes]:
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


def publication(name: str) -> Publication:
    """What is known of a data set.

    Raises:
        UnknownNameError: there is none of that name.
    """
    try:
        return DATASETS[name]
    except KeyError:
        raise UnknownNameError(f"no data set is called {name!r}; there are {', '.join(DATASETS)}") from None
