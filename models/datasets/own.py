"""Somebody's own labelled pictures, whichever way they come."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from models.datasets.class_folders import read_class_folders
from models.datasets.csv_file import read_csv
from models.datasets.labelled import LabelledPictures
from models.datasets.npz_file import read_npz
from models.datasets.published import DATASETS
from scs.errors import DataError


def open_own(path: Path) -> LabelledPictures:
    """Read a folder of class folders, a CSV file of paths and labels, or an ``.npz`` file of arrays.

    They are called by the name of the folder or file, but never by that of a data set that is published.

    Raises:
        DataError: it is none of them, or something in it is missing or wrong.
    """
    data = _read(path)
    return replace(data, name=f"own {data.name}") if data.name in DATASETS else data


def _read(path: Path) -> LabelledPictures:
    if path.is_dir():
        return read_class_folders(path)
    if not path.exists():
        raise DataError(f"--data is a folder of class folders, a .csv or an .npz; there is no '{path}'")
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return read_csv(path)
    if suffix == ".npz":
        return read_npz(path)
    raise DataError(f"--data is a folder of class folders, a .csv or an .npz; '{path.name}' came")
