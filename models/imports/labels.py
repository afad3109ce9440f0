"""Names of classes, in the ways in which people write them down."""

from __future__ import annotations

import ast
import csv
import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scs.errors import OptionError

_SYNSET = re.compile(r"^n\d{8}[\s,]+")  # as ImageNet's lists have it before the name


def read_labels(path: Path) -> list[str]:
    """Read a file of labels: one a line, or JSON (a list, or an object by number), or CSV whose last column they are.

    Raises:
        OptionError: it is none of these, or has no label.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"--labels needs a text file in UTF-8; '{path}' cannot be read: {error}") from None
    if path.suffix == ".json":
        try:
            return unique(_from_json(json.loads(text)))
        except ValueError:
            raise OptionError(f"'{path.name}' needs to be JSON: a list of labels, or an object from numbers") from None
    if path.suffix == ".csv":
        rows = [row for row in csv.reader(text.splitlines()) if row]
        lines = [row[-1].strip() for row in rows]
    else:
        lines = [_SYNSET.sub("", line.strip()) for line in text.strip().splitlines()]
    if not lines or not all(lines):
        raise OptionError(f"labels are one a line, none of them empty; '{path.name}' has {len(lines)} lines")
    return unique(lines)


def _from_json(value: Any) -> list[str]:
    if isinstance(value, Mapping) and isinstance(value.get("id2label"), Mapping):
        value = value["id2label"]
    if isinstance(value, Mapping):
        if all(isinstance(number, int) for number in value.values()):  # label2id
            value = {number: label for label, number in value.items()}
        by_number = {int(number): label for number, label in value.items()}
        if sorted(by_number) != list(range(len(by_number))):
            raise ValueError("numbers are missing")
        value = [by_number[number] for number in sorted(by_number)]
    if not isinstance(value, list) or not value:
        raise ValueError("no list")
    return [str(label[-1] if isinstance(label, list) else label) for label in value]


def unique(labels: list[str]) -> list[str]:
    """Tell labels of the same name apart by their numbers: ImageNet has two kinds of ``crane``."""
    counts, seen = Counter(labels), set[str]()
    told = []
    for number, label in enumerate(labels):
        told.append(f"{label} ({number})" if counts[label] > 1 and label in seen else label)
        seen.add(label)
    return told


def labels_of(metadata: Mapping[str, str], folder: Path) -> tuple[list[str] | None, str]:
    """Find the labels that came with a file: in its metadata, or in ``config.json`` beside it; and say where."""
    for key in ("names", "labels", "classes", "id2label"):
        text = metadata.get(key, "")
        for read in (json.loads, ast.literal_eval):
            try:
                return unique(_from_json(read(text))), f"the file's metadata ({key})"
            except (ValueError, SyntaxError, TypeError):
                continue
    config = folder / "config.json"
    if config.is_file():
        try:
            value = json.loads(config.read_text())
            return unique(_from_json(value["id2label"])), "config.json (id2label)"
        except (ValueError, KeyError, TypeError, OSError):
            return None, ""
    return None, ""
