"""Pictures with labels as somebody has them, before they are decoded: in folders, in a table, or in arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from scs.cores import usable_cores
from scs.errors import DataError
from scs.printable import printable

SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")
SPLIT_NAMES: dict[str, SplitName] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
LONGEST_LABEL = 1000  # letters, as a card has it
FEWEST_CLASSES = 2


@dataclass(frozen=True)
class LabelledPicture:
    """A picture and its class.

    Attributes:
        name: what messages call it.
        label: index into the classes.
        split: the part of the data that it was put into; None where nobody has said.
        read: gives its bytes: a picture file's, or an array's as ``numpy.save`` writes it.
    """

    name: str
    label: int
    split: SplitName | None
    read: Callable[[], bytes]


@dataclass(frozen=True)
class LabelledPictures:
    """All pictures of somebody's own data, in the order of their names.

    Attributes:
        name: of the folder or file, by which a card calls the data.
        pictures: at least one of every class.
        classes: their names.
        sha256: tells these data from any others; see the function that made it.
    """

    name: str
    pictures: tuple[LabelledPicture, ...]
    classes: tuple[str, ...]
    sha256: str

    def counts(self) -> list[int]:
        """Return the number of pictures of each class."""
        labels = [picture.label for picture in self.pictures]
        return [labels.count(label) for label in range(len(self.classes))]


def checked_classes(where: str, names: Sequence[str], fewest: int = FEWEST_CLASSES) -> tuple[str, ...]:
    """Return the names of classes once each, sorted; numbers by their size.

    Args:
        where: the data, for the message.
        names: of each picture, or of each folder.
        fewest: that there have to be.

    Raises:
        DataError: there are fewer, or one is empty, too long, or not text.
    """
    classes = sorted({*names}, key=_order)
    for name in classes:
        if not name.strip():
            raise DataError(f"a class needs a name; {where} has one without")
        if len(name) > LONGEST_LABEL:
            raise DataError(f"a class's name has at most {LONGEST_LABEL} letters; {where} has one of {len(name)}")
        if printable(name) != name:
            raise DataError(f"a class's name is text that can be shown; {where} has '{printable(name)[:60]}'")
    if len(classes) < fewest:
        came = f"one, '{classes[0][:60]}'" if classes else "none"
        raise DataError(f"a classifier needs {fewest} classes or more; {where} has {came}")
    return tuple(classes)


def _order(name: str) -> tuple[int, str]:
    return (int(name), name) if name.isascii() and name.isdigit() and len(name) < 19 else (2**63, name)


def digest_of_files(root: Path, paths: Sequence[Path]) -> str:
    """Return the SHA-256 of a list of files, with a line ``SHA-256  path`` for each as ``sha256sum`` prints it.

    A file that cannot be read has a dash in place of its SHA-256: whoever decodes it says what is wrong.

    Args:
        root: that paths in the list are relative to.
        paths: of the files, in any order; the list is sorted by path.
    """

    def line(path: Path) -> bytes:
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            digest = "-"
        return f"{digest}  {_relative(path, root)}\n".encode(errors="surrogateescape")

    with ThreadPoolExecutor(usable_cores()) as pool:
        lines = list(pool.map(line, sorted({*paths}, key=lambda path: _relative(path, root))))
    return hashlib.sha256(b"".join(lines)).hexdigest()


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
