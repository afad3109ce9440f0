"""Sharpened cosine similarity: layers, template matching, trained models and a client of the service.

``import scs`` loads nothing else. A name is imported when it is first used, and so are the packages that it needs::

    import scs

    scs.SharpenedCosineSimilarity2d(3, 32, kernel_size=3)  # loads torch
    scs.find(scene, [template])                            # loads NumPy and OpenCV

Example:
    >>> import scs
    >>> len(scs.__all__)
    24
    >>> scs.Search(method="scs").p
    2.0
"""

from __future__ import annotations

from importlib import import_module

from scs.errors import MissingPackageError, ScsError
from scs.solver import warn_of_solver

# Where each public name lives, and the extra that brings what it needs. Modules are named, not imported: `import scs`
# stays light, and this package does not depend on `models` and `service`, which stand on it. Type checkers read
# __init__.pyi, which has the same names.
_PLACES = {
    "sharpened_cosine_similarity": ("scs.nn.similarity", "layers"),
    "SharpenedCosineSimilarity1d": ("scs.nn.layers", "layers"),
    "SharpenedCosineSimilarity2d": ("scs.nn.layers", "layers"),
    "SharpenedCosineSimilarity3d": ("scs.nn.layers", "layers"),
    "max_abs_pool": ("scs.nn.pooling", "layers"),
    "MaxAbsPool1d": ("scs.nn.layers", "layers"),
    "MaxAbsPool2d": ("scs.nn.layers", "layers"),
    "find": ("scs.matching.finding", "matching"),
    "Search": ("scs.matching.options", "matching"),
    "Found": ("scs.matching.found", "matching"),
    "Match": ("scs.matching.found", "matching"),
    "heatmap": ("scs.matching.finding", "matching"),
    "score_map": ("scs.matching.scores", "matching"),
    "ScoreMap": ("scs.matching.scoring.maps", "matching"),
    "PartsTemplate": ("scs.matching.deformable.parts", "matching"),
    "load_model": ("models.runtime.load", "cpu"),
    "export": ("models.imports.exporting", "train"),
    "Client": ("service.client.client", "client"),
    "AsyncClient": ("service.client.async_client", "client"),
    "Prediction": ("service.client.prediction", "client"),
    "Activations": ("service.client.activations", "client"),
    "Matches": ("service.client.matches", "client"),
    "ProblemError": ("scs.errors", "client"),
}

__all__ = [*_PLACES, "ScsError"]


def __getattr__(name: str) -> object:
    """Import a public name when it is first used.

    Raises:
        AttributeError: there is no such name.
        MissingPackageError: it needs a package that is not installed; the message names the extra that brings it.
    """
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    place, extra = _PLACES[name]
    try:
        value = getattr(import_module(place), name)
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        raise MissingPackageError(
            f"scs.{name} needs {package}, which is not installed: pip install 'scs-serve[{extra}]'"
        ) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


warn_of_solver()
