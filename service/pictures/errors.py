"""Say which of several files an error is about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from scs.errors import ScsError


@contextmanager
def error_about(name: str) -> Iterator[None]:
    """Let errors of this project that are raised inside begin with a name; they keep their kind."""
    try:
        yield
    except ScsError as error:
        raise type(error)(f"{name}: {error}") from error
