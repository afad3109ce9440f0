"""A warning where the conic solver of the same import name is installed in the same environment."""

from __future__ import annotations

import os
import sys
import warnings
from functools import cache

WARNING = (
    "the conic solver 'scs', which cvxpy uses, is installed in this environment too; it and scs-serve overwrite each "
    "other's `import scs`, so uninstall both and install each in an environment of its own"
)


def solver_is_installed() -> bool:
    """Tell whether a distribution named ``scs``, the solver, lies on the import path; ours is named ``scs-serve``.

    ``importlib.metadata`` would say the same, and takes 20 ms to import where this takes a tenth of one.
    """
    return any(map(_holds_solver, sys.path))


@cache
def warn_of_solver() -> None:
    """Warn, once, where the solver is installed."""
    if solver_is_installed():
        warnings.warn(WARNING, RuntimeWarning, stacklevel=3)


def _holds_solver(folder: str) -> bool:
    try:
        files = os.listdir(folder or ".")
    except OSError:  # a zip file, or a folder that is not there
        return False
    return any(file.startswith("scs-") and file.endswith((".dist-info", ".egg-info")) for file in files)
