"""The pictures that a command is given: files, folders of them, and standard input, a request's worth at a time."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scs.errors import OptionError
from service.api.files import NamedBytes, shown_name
from service.cli.files import read_bytes
from service.pictures.folder import files_in, is_picture_file
from service.pictures.formats import SUFFIXES
from service.pictures.npy import is_npy
from service.pictures.picture import MAX_PICTURES

STANDARD_INPUT = Path("-")
_MOST_BYTES = 24 * 2**20  # of one request; a server takes 32 MiB unless it is told otherwise


@dataclass(frozen=True)
class PictureFile:
    """A file that was named, or found in a folder that was: its number from 1, its name for people, and its path."""

    number: int
    name: str
    path: Path

    def read(self) -> NamedBytes:
        """Read its bytes, without decoding.

        Raises:
            OSError: it cannot be read.
        """
        content = sys.stdin.buffer.read() if self.path == STANDARD_INPUT else read_bytes(self.path)
        return NamedBytes(self.name, content, is_npy=self.path.suffix == ".npy" or is_npy(None, content))


def find_pictures(given: Sequence[Path]) -> list[PictureFile]:
    """Return the files that were named, and those of every folder that was: pictures at any depth, by name.

    Raises:
        OptionError: a folder without pictures.
    """
    found: list[tuple[str, Path]] = []
    for path in given:
        if path == STANDARD_INPUT:
            found.append(("standard input", path))
        elif path.is_dir():
            inside = [each for each in files_in(path) if is_picture_file(each)]
            if not inside:
                raise OptionError(f"the folder {path} has no pictures in it; files end in {', '.join(SUFFIXES)}")
            found += [(shown_name(str(each)), each) for each in inside]
        else:
            found.append((shown_name(path.name), path))
    return [PictureFile(number, name, path) for number, (name, path) in enumerate(found, start=1)]


def in_requests(files: Sequence[PictureFile]) -> Iterator[list[PictureFile]]:
    """Split files into as many as one request may hold, by their number and by their size on disk."""
    part: list[PictureFile] = []
    held = 0
    for file in files:
        size = file.path.stat().st_size if file.path.is_file() else 0
        if part and (len(part) == MAX_PICTURES or held + size > _MOST_BYTES):
            yield part
            part, held = [], 0
        part.append(file)
        held += size
    if part:
        yield part
