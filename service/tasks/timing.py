"""The timing of a task's steps."""

from __future__ import annotations


def milliseconds(start: float, end: float) -> float:
    """Return a span of the performance counter in milliseconds, to the microsecond."""
    return round((end - start) * 1000, 3)
