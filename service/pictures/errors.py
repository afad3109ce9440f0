"""Error messages that say which of several files they are about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from scs.errors import ScsError


@contextmanager
def error_about(name: str) -> Iterator[None]:
    """Prefix the messages of this project's exceptions raised inside with a name; keep their class."""
    try:
        yield
    except ScsError as error:
        raise type(error)(f"{name}: {error}") from error
