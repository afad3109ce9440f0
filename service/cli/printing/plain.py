"""Tables and lines that show words from elsewhere, such as labels and names of files, as text and nothing else."""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from scs.printable import is_obeyed, printable

_NAME = 32  # letters of a first cell, a name mostly, that stay on one line where a terminal is narrow


class PlainTable(Table):
    """A table whose cells, headings and title are text: their markup, emoji codes and escape codes are shown.

    Where it is wider than the terminal cells are folded, none is cut, and short names in front stay whole.

    Args:
        headings: of its columns.
        title: above it, at the left.
        options: of rich's table.
    """

    def __init__(self, *headings: str, title: str | None = None, **options: Any) -> None:
        shown = None if title is None else printable(title)
        super().__init__(*map(printable, headings), title=shown, title_justify="left", **options)
        for column in self.columns:
            column.overflow = "fold"
        self._names: list[str] = []

    def add_row(self, *cells: object, **options: Any) -> None:
        """Add a row."""
        super().add_row(*map(printable, cells), **options)
        self._names.append(printable(cells[0]))

    def show(self) -> None:
        """Print the table on stdout."""
        self.columns[0].no_wrap = max(map(cell_len, self._names), default=0) <= _NAME
        plain_console().print(self)


def plain_console(stderr: bool = False) -> Console:
    """Return a console that obeys no markup and no emoji codes in what it is given."""
    return Console(stderr=stderr, markup=False, emoji=False)


def say(line: str, *, error: bool = False) -> None:
    """Print a line, on stdout or stderr, with all that a terminal would obey written out."""
    print(printable(line), file=sys.stderr if error else sys.stdout)


def say_json(text: str) -> None:
    """Print JSON on stdout, with the escapes of JSON for what a terminal would obey: programs read the same."""
    print("".join(json.dumps(letter)[1:-1] if letter != "\n" and is_obeyed(letter) else letter for letter in text))
