"""Deprecation of modules that have moved: their old names work for one version."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any


def moved(old: str, new: str) -> Callable[[str], Any]:
    """Make the ``__getattr__`` of a module that has moved: it imports from the new place, with a DeprecationWarning.

    Args:
        old: name of the module that is asked.
        new: name of the module that has what was there. It is imported when something is asked for.
    """

    def get(name: str) -> Any:
        if name.startswith("__"):  # what tools ask any module for
            raise AttributeError(f"module {old!r} has no attribute {name!r}")
        value = getattr(import_module(new), name)
        warnings.warn(f"{old} is now {new}; the old name goes with version 0.2", DeprecationWarning, stacklevel=2)
        return value

    return get
