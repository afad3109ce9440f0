"""Fetch a data set from its publisher."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx2 as httpx
import numpy as np

from models.datasets.published import PublishedFile, publication
from scs.errors import DataError


def download_dataset(name: str, folder: Path, progress: Callable[[int, int], None] | None = None) -> Path:
    """Fetch a data set from its publisher into ``<folder>/<name>.npz``; one that is already there is kept.

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
    published = publication(name)
    path = folder / f"{name}.npz"
    if path.is_file():
        return path
    total = sum(file.size for file in published.files)
    received = 0

    def report(piece: int) -> None:
        nonlocal received
        received += piece
        if progress:
            progress(received, total)

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder, prefix=f".{name}-") as scratch:  # beside its target, so that a rename moves
            parts = [Path(scratch) / str(index) for index in range(len(published.files))]
            for file, part in zip(published.files, parts, strict=True):
                _fetch(file, part, report)
            whole = Path(scratch) / path.name
            np.savez(whole, allow_pickle=False, classes=np.array(published.classes), **published.read(parts))
            whole.replace(path)
    except OSError as error:
        raise DataError(f"{path.name} could not be stored in {folder}: {error.strerror or error}") from error
    return path


def _fetch(file: PublishedFile, target: Path, report: Callable[[int], None]) -> None:
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
