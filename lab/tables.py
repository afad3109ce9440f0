"""A table of figures, for the terminal and for the page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A formatted table: words in the first column, numbers in the others."""

    heads: list[str]
    rows: list[list[str]]


def percent(share: float, digits: int = 0) -> str:
    """Format a share, 0 to 1, as a percentage."""
    return f"{100 * share:.{digits}f} %"
