"""The reading of a picture of a run, wherever it lies."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from scs.errors import ImageError
from service.api.files import NamedBytes
from service.map.inputs import parquet, tar, zarr_array
from service.map.listed import Listed
from service.pictures.npy import is_npy

FILE = "file"


def _read_file(listed: Listed) -> bytes:
    if not stat.S_ISREG(os.stat(listed.path).st_mode):  # a pipe would be waited for, /dev/zero never ends
        raise ImageError("a file was needed but this is a folder, a pipe or a device")
    with open(listed.path, "rb") as file:
        return file.read()


READERS: dict[str, Callable[[Listed], bytes]] = {
    FILE: _read_file,
    tar.KIND: tar.read_tar,
    parquet.KIND: parquet.read_parquet,
    zarr_array.KIND: zarr_array.read_zarr,
}


def read(listed: Listed) -> NamedBytes:
    """Read a picture, without decoding it.

    Raises:
        OSError, ImageError: it cannot be read.
    """
    content = READERS[listed.kind](listed)
    return NamedBytes(listed.name, content, is_npy=Path(listed.name).suffix == ".npy" or is_npy(None, content))
