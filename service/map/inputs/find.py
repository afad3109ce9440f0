"""The pictures that the inputs of a run stand for."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from scs.errors import OptionError
from service.api.files import shown_name
from service.map.inputs import parquet, tar, zarr_array
from service.map.inputs.read import FILE
from service.map.listed import Listed
from service.map.slides.slide import SCANNED
from service.pictures.folder import files_in, is_picture_file

STANDARD_INPUT = "-"
_ARCHIVES: dict[str, Callable[[Path], Iterator[Listed]]] = {
    ".tar": tar.list_tar,
    ".parquet": parquet.list_parquet,
}
_COMPRESSED = (".tgz", *(f".tar.{how}" for how in ("gz", "bz2", "xz", "zst")))  # which list_tar refuses
_LOOKED_AT = 2**16  # bytes of a list of names


def find(inputs: Iterable[str], names: BinaryIO, leave_out: Path, *, whole: bool = False) -> Iterator[Listed]:
    """Yield the pictures of inputs: files, folders, globs, tar archives, Parquet files, Zarr arrays.

    Args:
        inputs: as they were named; ``-`` stands for a list of them in ``names``.
        names: a line each, or each followed by a zero byte, as ``find -print0`` writes them.
        leave_out: a folder that is not looked into, an absolute path.
        whole: whether each Zarr is one, and not looked into.

    Raises:
        OptionError: an input that is not there, or a folder or a glob without pictures.
    """
    for each in inputs:
        if each == STANDARD_INPUT:
            for name in _names(names):
                yield from _find_one(Path(os.fsdecode(name)), leave_out, whole)
        elif os.path.lexists(each):
            yield from _find_one(Path(each), leave_out, whole)
        else:
            yield from _find_glob(each, leave_out, whole)


def _find_glob(pattern: str, leave_out: Path, whole: bool) -> Iterator[Listed]:
    found = sorted(glob.iglob(pattern, recursive=True)) if glob.has_magic(pattern) else []
    if not found:
        raise OptionError(f"there is no file or folder '{shown_name(pattern)}'")
    is_empty = True
    for each in found:
        if not (os.path.isdir(each) and "**" in pattern):  # whose files are found as well
            for listed in _find_one(Path(each), leave_out, whole, may_be_empty=True):
                is_empty = False
                yield listed
    if is_empty:
        raise OptionError(f"what '{shown_name(pattern)}' finds has no pictures in it, nor archives of them")


def _find_one(path: Path, leave_out: Path, whole: bool, *, may_be_empty: bool = False) -> Iterator[Listed]:
    """Yield the pictures of a file or folder; what is not there is found missing when it is read."""
    is_zarr = path.is_dir() and zarr_array.is_zarr(path)
    if not path.is_dir() or (whole and is_zarr):
        yield from _in_file(path)
    elif is_zarr:
        yield from zarr_array.list_zarr(path)
    else:
        yield from _in_folder(path, leave_out, may_be_empty)


def _in_folder(folder: Path, leave_out: Path, may_be_empty: bool) -> Iterator[Listed]:
    is_empty = True
    absolute = Path(os.path.abspath(folder))
    left_out = folder / leave_out.relative_to(absolute) if leave_out.is_relative_to(absolute) else leave_out
    for path in files_in(folder):
        if path.is_relative_to(left_out):
            continue
        if path.suffix.lower() in (*_ARCHIVES, *SCANNED) or is_picture_file(path):
            is_empty = False
            yield from _in_file(path)
    if is_empty and not may_be_empty:
        raise OptionError(f"the folder {shown_name(str(folder))} has no pictures in it, nor archives of them")


def _in_file(path: Path) -> Iterator[Listed]:
    name = path.name.lower()
    listing = tar.list_tar if name.endswith(_COMPRESSED) else _ARCHIVES.get(path.suffix.lower())
    if listing is not None and path.exists():
        yield from listing(path)
    else:
        yield Listed(shown_name(str(path)), FILE, os.fsencode(path.absolute()))


def _names(names: BinaryIO) -> Iterator[bytes]:
    """Yield the names of a list, whichever of a line's end (also Windows') and a zero byte is between them."""
    rest = names.read(_LOOKED_AT)
    end, strange = (b"\0", b"") if b"\0" in rest else (b"\n", b"\r")
    while rest:
        *whole, last = rest.split(end)
        yield from filter(None, (name.removesuffix(strange) for name in whole))
        more = names.read(_LOOKED_AT)
        if not more:
            yield from filter(None, [last.removesuffix(strange)])
        rest = last + more if more else b""
