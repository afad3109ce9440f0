"""What the nursery of worker processes does before they are forked from it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_OPTIONAL = "scipy", "coverage"  # what Numba imports where it is installed, and none of our loops needs: 20 MB


def import_all() -> None:
    """Import what work on models and pictures needs; matching, whose compiler is large, comes later."""
    import imagecodecs
    import pi_heif  # noqa: F401
    import tifffile  # noqa: F401

    import service.repository.trial
    import service.tasks.activations.task
    import service.tasks.decoding
    import service.tasks.graph
    import service.tasks.match.answer  # noqa: F401

    for codec in ("png", "deflate", "lzw", "jpeg8"):
        getattr(imagecodecs, f"{codec}_decode")  # loads it


def warm_matching() -> None:
    """Compile or load the loops of matching, and leave no thread behind, which a forked process would wait for."""
    import cv2

    from scs.matching.threads import available_threads, shared_pool
    from service.tasks.match.warmup import warm_up

    cv2.setNumThreads(1)
    with _hidden(_OPTIONAL):
        warm_up()
    shared_pool(available_threads()).shutdown()
    shared_pool.cache_clear()


@contextmanager
def _hidden(packages: tuple[str, ...]) -> Iterator[None]:
    """Have imports of packages fail, as if these were not installed, unless they were imported before."""
    hidden = [name for name in packages if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None is how Python is told
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
