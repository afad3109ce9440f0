"""Data sets for commands, downloaded where the user asked for that."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from models.datasets.dataset import Dataset, data_folder, load_dataset
from models.datasets.download import download_dataset
from scs.errors import OptionError


def open_dataset(name: str, folder: Path | None, download: bool) -> Dataset:
    """Read a data set; with ``download``, fetch it from its publisher first if it is missing.

    Raises:
        DataError: it is missing or broken; the message says how to get it.
        OptionError: it should be downloaded and no folder was named.
    """
    if download:
        into = data_folder(folder)
        if into is None:
            raise OptionError("--download needs a folder to put the data in: name one with --data or SCS_DATA")
        _download(name, into)
    return load_dataset(name, folder)


def _download(name: str, folder: Path) -> None:
    columns = (TextColumn(name), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=None)
        download_dataset(name, folder, lambda done, total: bar.update(task, completed=done, total=total))
