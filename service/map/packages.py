"""The sentence about a package that is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from scs.errors import MissingPackageError


@contextmanager
def needed_for(what: str, extra: str = "map") -> Iterator[None]:
    """Say what to install where an import fails.

    Args:
        what: the import is needed for.
        extra: of this package that brings it.

    Raises:
        MissingPackageError: it failed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        raise MissingPackageError(
            f"{what} needs {package}, which is not installed: pip install 'scs-serve[{extra}]'"
        ) from None
