"""How long the steps of a task took."""

from __future__ import annotations


def milliseconds(start: float, end: float) -> float:
    """A span of the performance counter, to the microsecond."""
    return round((end - start) * 1000, 3)
