"""Data sets are read as they are, fetched only whole, and refused in one sentence."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import struct
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.datasets.dataset import evenly, load_dataset
from models.datasets.download import download_dataset
from models.datasets.published import DATASETS, PublishedFile
from scs.errors import DataError, UnknownNameError

Arrays = dict[str, NDArray[np.uint8]]


def tiny_arrays(*image_shape: int) -> Arrays:
    """Twenty images to train on and ten to test on, of every class."""
    random = np.random.default_rng(0)
    return {
        "x_train": random.integers(0, 256, (20, *image_shape), np.uint8),
        "y_train": np.repeat(np.arange(10, dtype=np.uint8), 2),
        "x_test": random.integers(0, 256, (10, *image_shape), np.uint8),
        "y_test": np.arange(10, dtype=np.uint8)[::-1],
    }


def idx(array: NDArray[np.uint8]) -> bytes:
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return gzip.compress(header + array.tobytes())


def cifar_archive(arrays: Arrays) -> bytes:
    def records(split: str) -> NDArray[np.uint8]:
        planes = arrays[f"x_{split}"].transpose(0, 3, 1, 2).reshape(-1, 3072)
        return np.concatenate([arrays[f"y_{split}"][:, np.newaxis], planes], axis=1)

    batches = {f"data_batch_{number}.bin": part for number, part in enumerate(np.split(records("train"), 5), start=1)}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        folder = tarfile.TarInfo("cifar-10-batches-bin")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, batch in [("test_batch.bin", records("test")), *reversed(batches.items())]:
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = batch.nbytes
            archive.addfile(member, io.BytesIO(batch.tobytes()))
    return buffer.getvalue()


class Publisher:
    """A server on loopback that stands in for the publisher of a data set."""

    def __init__(self, folder: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.url = url
        self.monkeypatch = monkeypatch

    def publish(self, name: str, *contents: bytes) -> None:
        """Serve these files, and enter their address, size and checksum for the data set."""
        files = []
        for index, content in enumerate(contents):
            (self.folder / f"{index}.gz").write_bytes(content)
            files.append(PublishedFile(f"{self.url}/{index}.gz", len(content), hashlib.sha256(content).hexdigest()))
        self.monkeypatch.setitem(DATASETS, name, replace(DATASETS[name], files=tuple(files)))


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass

    def copyfile(self, source: Any, outputfile: Any) -> None:
        """Send the file, or half of it where a file ``hang-up`` lies beside it."""
        content = source.read()
        outputfile.write(content[: len(content) // 2] if Path(self.directory, "hang-up").exists() else content)


@pytest.fixture
def publisher(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    folder = tmp_path_factory.mktemp("publisher")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield Publisher(folder, f"http://127.0.0.1:{server.server_port}", monkeypatch)
        server.shutdown()
        thread.join()


def assert_holds(name: str, folder: Path, arrays: Arrays) -> None:
    data = load_dataset(name, folder)
    for images, labels, split in (
        (data.train_images, data.train_labels, "train"),
        (data.test_images, data.test_labels, "test"),
    ):
        np.testing.assert_array_equal(images, arrays[f"x_{split}"].reshape(-1, *DATASETS[name].image_shape))
        np.testing.assert_array_equal(labels, arrays[f"y_{split}"])
        assert images.dtype == np.uint8
        assert labels.dtype == np.int64
    assert data.classes == DATASETS[name].classes


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_idx_files_load_as_they_were_published(name: str, tmp_path: Path, publisher: Publisher) -> None:
    arrays = tiny_arrays(28, 28)
    publisher.publish(name, *map(idx, arrays.values()))
    assert download_dataset(name, tmp_path) == tmp_path / f"{name}.npz"
    assert_holds(name, tmp_path, arrays)


def test_the_cifar_archive_loads_as_it_was_published_in_batch_order(tmp_path: Path, publisher: Publisher) -> None:
    arrays = tiny_arrays(32, 32, 3)
    publisher.publish("cifar10", cifar_archive(arrays))
    download_dataset("cifar10", tmp_path)
    assert_holds("cifar10", tmp_path, arrays)


def test_a_download_makes_its_folder_and_leaves_one_file_in_it(tmp_path: Path, publisher: Publisher) -> None:
    publisher.publish("mnist", *map(idx, tiny_arrays(28, 28).values()))
    download_dataset("mnist", tmp_path / "new" / "folder")
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["mnist.npz"]


def test_a_data_set_that_is_already_there_is_not_fetched_again(tmp_path: Path, publisher: Publisher) -> None:
    arrays = tiny_arrays(28, 28)
    np.savez(tmp_path / "mnist.npz", allow_pickle=False, **arrays)
    publisher.publish("mnist", b"not a data set")
    download_dataset("mnist", tmp_path)
    assert_holds("mnist", tmp_path, arrays)


def test_progress_grows_over_all_files_to_their_total(tmp_path: Path, publisher: Publisher) -> None:
    contents = [idx(array) for array in tiny_arrays(28, 28).values()]
    publisher.publish("mnist", *contents)
    reports: list[tuple[int, int]] = []
    download_dataset("mnist", tmp_path, lambda received, total: reports.append((received, total)))
    total = sum(map(len, contents))
    assert len(reports) >= len(contents)
    assert reports == sorted(reports)
    assert reports[-1] == (total, total)
    assert {report[1] for report in reports} == {total}


def test_a_wrong_checksum_is_refused_and_leaves_nothing(tmp_path: Path, publisher: Publisher) -> None:
    content = cifar_archive(tiny_arrays(32, 32, 3))
    publisher.publish("cifar10", content)
    (publisher.folder / "0.gz").write_bytes(content[:-1] + b"!")
    with pytest.raises(DataError, match=rf"should be {len(content)} bytes with SHA-256 \w+, but {len(content)} bytes"):
        download_dataset("cifar10", tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_file_cut_short_by_its_server_is_refused_and_leaves_nothing(tmp_path: Path, publisher: Publisher) -> None:
    publisher.publish("cifar10", cifar_archive(tiny_arrays(32, 32, 3)))
    (publisher.folder / "hang-up").touch()
    with pytest.raises(DataError, match="could not be fetched: peer closed connection"):
        download_dataset("cifar10", tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_file_that_fails_after_others_came_leaves_nothing(tmp_path: Path, publisher: Publisher) -> None:
    publisher.publish("mnist", *map(idx, tiny_arrays(28, 28).values()))
    (publisher.folder / "3.gz").unlink()
    with pytest.raises(DataError, match=r"/3\.gz could not be fetched: the server answered 404$"):
        download_dataset("mnist", tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_publisher_that_cannot_be_reached_is_said_in_one_line(
    tmp_path: Path, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    unreachable = PublishedFile("http://127.0.0.1:1/0.gz", 1, "0" * 64)
    monkeypatch.setitem(DATASETS, "mnist", replace(DATASETS["mnist"], files=(unreachable,)))
    with pytest.raises(DataError, match=r"\Ahttp://127\.0\.0\.1:1/0\.gz could not be fetched: .+\Z"):
        download_dataset("mnist", tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"mnist\.npz could not be stored in .*file: File exists"):
        download_dataset("mnist", tmp_path / "file")


def test_every_published_file_has_tls_and_a_sha256() -> None:
    for publication in DATASETS.values():
        for file in publication.files:
            assert file.url.startswith("https://")
            assert len(bytes.fromhex(file.sha256)) == 32


def test_missing_data_names_both_ways_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SCS_DATA", raising=False)
    with pytest.raises(DataError, match=r"\Ano cifar10\.npz: name a folder .* --data \(or SCS_DATA\), .*--download\Z"):
        load_dataset("cifar10")
    with pytest.raises(DataError, match=rf"\Ano cifar10\.npz in {tmp_path}: .* --data .*--download\Z"):
        load_dataset("cifar10", tmp_path)


def test_the_folder_that_is_named_goes_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = tiny_arrays(28, 28)
    np.savez(tmp_path / "mnist.npz", allow_pickle=False, **arrays)
    monkeypatch.setenv("SCS_DATA", str(tmp_path))
    np.testing.assert_array_equal(load_dataset("mnist").train_labels, arrays["y_train"])
    with pytest.raises(DataError, match="elsewhere"):
        load_dataset("mnist", tmp_path / "elsewhere")


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="'imagenet'; there are mnist, fashion-mnist, cifar10"):
        load_dataset("imagenet")


def test_class_names_of_the_file_go_before_the_publishers(tmp_path: Path) -> None:
    names = [f"digit {number}" for number in range(10)]
    np.savez(tmp_path / "mnist.npz", allow_pickle=False, classes=np.array(names), **tiny_arrays(28, 28))
    assert load_dataset("mnist", tmp_path).classes == tuple(names)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"x_train": np.zeros((20, 27, 28), np.uint8)},
            r"x_train should be \(N, 28, 28, 1\) uint8, but is \(20, 27, 28\)",
        ),
        ({"x_test": np.zeros((10, 28, 28, 3), np.uint8)}, r"x_test should be .*, but is \(10, 28, 28, 3\) uint8"),
        ({"x_test": np.zeros((10, 28, 28), np.float32)}, r"x_test should be .* uint8, but is \(10, 28, 28\) float32"),
        ({"x_test": np.zeros((), np.uint8)}, r"x_test should be .*, but is \(\) uint8"),
        ({"y_train": np.zeros(19, np.uint8)}, r"y_train .* each of the 20 images of x_train, .* is \(19,\) uint8"),
        ({"y_train": np.zeros((20, 1), np.uint8)}, r"y_train should be .*, but is \(20, 1\) uint8"),
        ({"y_train": np.zeros(20)}, r"y_train should be a whole number .*, but is \(20,\) float64"),
        ({"x_test": np.zeros((0, 28, 28), np.uint8), "y_test": np.zeros(0, np.uint8)}, "at least one, but"),
        ({"y_test": np.full(10, 10)}, r"y_test should be in 0\.\.9, but is in 10\.\.10"),
        ({"y_test": np.full(10, -1)}, r"y_test should be in 0\.\.9, but is in -1\.\.-1"),
        ({"classes": np.arange(10)}, r"classes should be a list of names, but is \(10,\) int64"),
        ({"y_test": np.array(["a"] * 10, object)}, "plain arrays"),
        ({"x_test": None}, "should hold x_test and y_test, but has no x_test"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_with_what_was_needed_and_what_came(
    changes: dict[str, NDArray[Any] | None], message: str, tmp_path: Path
) -> None:
    arrays = {key: value for key, value in {**tiny_arrays(28, 28), **changes}.items() if value is not None}
    np.savez(tmp_path / "mnist.npz", allow_pickle=True, **arrays)
    with pytest.raises(DataError, match=message):
        load_dataset("mnist", tmp_path)


def test_a_file_that_is_no_npz_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mnist.npz"
    np.savez(path, allow_pickle=False, **tiny_arrays(28, 28))
    npy = io.BytesIO()
    np.save(npy, np.zeros(3))
    for content in (b"", b"not an archive", npy.getvalue(), path.read_bytes()[:-100]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"should be an \.npz file of plain arrays"):
            load_dataset("mnist", tmp_path)


def test_reading_a_data_set_needs_neither_torch_nor_an_http_client() -> None:
    check = "import sys, models.datasets.dataset; sys.exit(bool({'torch', 'httpx2'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", check]).returncode == 0


@pytest.mark.parametrize(("name", "images"), [("mnist", 70_000), ("fashion-mnist", 70_000), ("cifar10", 60_000)])
def test_the_real_data_set_is_whole_and_its_test_classes_are_as_published(name: str, images: int) -> None:
    folder = os.environ.get("SCS_DATA")
    if not folder or not Path(folder, f"{name}.npz").is_file():
        pytest.skip(f"needs the real {name}.npz in the folder that SCS_DATA names")
    data = load_dataset(name)
    assert len(data.train_images) + len(data.test_images) == images
    counts = np.bincount(data.test_labels)
    # MNIST's own test split is only nearly balanced.
    expected = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009] if name == "mnist" else [1000] * 10
    assert counts.tolist() == expected


@pytest.mark.parametrize("count", [3, 1000, 2007])
def test_at_most_so_many_entries_are_taken_evenly(count):
    chosen = evenly(np.arange(count), 1000)
    assert len(chosen) == min(count, 1000)
    assert chosen[0] == 0 and len(set(np.diff(chosen))) == 1
