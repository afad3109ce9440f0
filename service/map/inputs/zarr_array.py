"""Pictures in a Zarr array ``(N, H, W)`` or ``(N, H, W, C)`` of uint8."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scs.errors import OptionError
from service.api.files import shown_name
from service.map.listed import Listed
from service.map.packages import needed_for
from service.pictures.npy import to_npy

if TYPE_CHECKING:
    import zarr

KIND = "zarr"
_MARKS = ("zarr.json", ".zarray", ".zgroup")


def is_zarr(folder: Path) -> bool:
    """Return whether a folder is an array or a group of Zarr, of either version of the format."""
    return any((folder / mark).is_file() for mark in _MARKS)


def list_zarr(path: Path) -> Iterator[Listed]:
    """Yield the pictures of an array, by their number.

    Raises:
        OptionError: a group, or an array of something else.
    """
    name, stored = shown_name(str(path)), os.fsencode(path.absolute())
    array = _array(stored)
    if array is None:
        raise OptionError(f"{name} needs to be an array of pictures; a group came: name an array in it")
    if array.dtype != np.uint8 or array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[-1] not in (1, 3)):
        raise OptionError(
            f"{name} needs to be (N, H, W) or (N, H, W, C) of uint8, C 1 or 3; {array.shape} of {array.dtype} came"
        )
    for number in range(array.shape[0]):
        yield Listed(f"{name}[{number}]", KIND, stored, number)


def read_zarr(listed: Listed) -> bytes:
    """Read a picture of an array, as a ``.npy`` file."""
    array: Any = _array(listed.path)
    return to_npy(np.asarray(array[listed.place]))


@lru_cache(8)
def _array(path: bytes) -> zarr.Array[Any] | None:
    """Open an array; None where there is a group."""
    with needed_for("Zarr"):
        import zarr

    opened = zarr.open(os.fsdecode(path), mode="r")
    return opened if isinstance(opened, zarr.Array) else None
