"""A table of figures, for the terminal and for the page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Words in the first column, numbers in the others, as they are shown."""

    heads: list[str]
    rows: list[list[str]]


def percent(share: float, digits: int = 0) -> str:
    """A share, 0 to 1, as it is shown."""
    return f"{100 * share:.{digits}f} %"
