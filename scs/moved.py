"""Old names of what has moved, which work for one version more."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any


def moved(old: str, new: str) -> Callable[[str], Any]:
    """Make a module's ``__getattr__`` that finds in another module what it does not have, and warns.

    The other module is imported when it is asked, so that nothing here depends on it.

    Args:
        old: name of the module that has become empty.
        new: name of the one that has what it had.
    """

    def find(name: str) -> Any:
        found = getattr(import_module(new), name)
        message = f"{old}.{name} is {new}.{name} now; the old name will go in version 0.2"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return found

    return find
