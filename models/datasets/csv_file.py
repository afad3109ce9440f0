"""Labelled pictures in a table: a CSV file with a column ``path``, a column ``label`` and perhaps one ``split``."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from models.datasets.labelled import (
    SPLIT_NAMES,
    LabelledPicture,
    LabelledPictures,
    SplitName,
    checked_classes,
    digest_of_files,
)
from scs.errors import DataError

_MOST_NAMED = 5  # files of a message


@dataclass(frozen=True)
class _Row:
    path: Path
    name: str
    label: str
    split: SplitName | None


def read_csv(path: Path) -> LabelledPictures:
    """Read a table of pictures; their paths are relative to its folder.

    Args:
        path: of the table, in UTF-8, with commas or semicolons between columns.

    Returns:
        The pictures in the order of the table. The digest is that of the table and of every file in it.

    Raises:
        DataError: a column, a label or a file is missing, or the table cannot be read as one.
    """
    rows = list(_rows(path))
    if not rows:
        raise DataError(f"{path.name} needs a row for each picture; it has none")
    missing = [row.name for row in rows if not row.path.is_file()]
    if missing:
        others = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
        named = ", ".join(missing[:_MOST_NAMED])
        raise DataError(f"{path.name} names files that are not there: {named}{others}")
    named_twice = len(rows) - len({row.path for row in rows})
    if named_twice:
        raise DataError(f"{path.name} needs each picture once; {named_twice} are named again")
    classes = checked_classes(path.name, [row.label for row in rows])
    index = {name: number for number, name in enumerate(classes)}
    pictures = tuple(LabelledPicture(row.name, index[row.label], row.split, row.path.read_bytes) for row in rows)
    digest = digest_of_files(path.parent, [path, *(row.path for row in rows)])
    return LabelledPictures(path.stem, pictures, classes, digest)


def _rows(path: Path) -> Iterator[_Row]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            file.seek(0)
            delimiter = ";" if first.count(";") > first.count(",") else ","
            table = csv.DictReader(file, delimiter=delimiter, strict=True)
            columns = [name.strip().lower() for name in table.fieldnames or []]
            if not {"path", "label"} <= {*columns}:
                came = ", ".join(name[:40] for name in columns[:10]) or "nothing"
                raise DataError(f"{path.name} needs the columns path and label; it has {came}")
            table.fieldnames = columns
            for row in table:
                yield _row(path, {key: (value or "").strip() for key, value in row.items() if key}, table.line_num)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path.name} should be a table in UTF-8, and cannot be read as one: {error}") from None
    except OSError as error:
        raise DataError(f"{path.name} cannot be read: {error.strerror or error}") from None


def _row(path: Path, row: dict[str, str], line: int) -> _Row:
    name, label, split = row["path"], row["label"], row.get("split", "")
    for column, value in (("path", name), ("label", label)):
        if not value or "\0" in value:
            raise DataError(f"{path.name} needs a {column} in every row; line {line} has none")
    if split and split.lower() not in SPLIT_NAMES:
        raise DataError(f"a split is train, val or test; line {line} of {path.name} has '{split[:40]}'")
    return _Row(path.parent / name, name, label, SPLIT_NAMES[split.lower()] if split else None)
