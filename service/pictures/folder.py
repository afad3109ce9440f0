"""The files in a folder, and which of them are pictures."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from service.pictures.formats import SUFFIXES, format_of

_BEGINNING = 32  # bytes that tell what a file is


def files_in(folder: Path) -> Iterator[Path]:
    """Yield the files in a folder at any depth, by name within each folder; what is hidden is left out.

    A link that leads nowhere counts as a file: whoever reads it says so, where to leave it out would say nothing.

    Raises:
        OSError: a folder cannot be read.
    """
    with os.scandir(folder) as scanned:
        entries = sorted((entry for entry in scanned if not entry.name.startswith(".")), key=lambda entry: entry.name)
    yield from (folder / entry.name for entry in entries if _leads_nowhere(entry) or entry.is_file())
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from files_in(folder / entry.name)


def _leads_nowhere(entry: os.DirEntry[str]) -> bool:
    return entry.is_symlink() and not os.path.exists(entry.path)


def is_picture_file(path: Path) -> bool:
    """Return whether a file is a picture, by the end of its name or the beginning of its bytes."""
    if path.suffix.lower() in SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            return format_of(file.read(_BEGINNING)) not in (None, "BMP")  # two letters begin many a text
    except OSError:
        return False
