"""Thread pools that blocks, templates and matrix products are spread over."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol, TypeVar

from scs.cores import usable_cores
from scs.errors import OptionError

Item = TypeVar("Item")
Result = TypeVar("Result")


class Workers(Protocol):
    """A `map` that runs on a thread pool."""

    def __call__(self, function: Callable[[Item], Result], items: Iterable[Item], /) -> Iterable[Result]:
        """Apply the function to every item, and return the results in the order of the items."""


def available_threads() -> int:
    """Return how many threads this process has cores for, by its affinity and its processor quota."""
    return usable_cores()


def check_threads(threads: int | None) -> int:
    """Check the number of threads; None becomes the number of cores of this process.

    Raises:
        OptionError: less than one.
    """
    if threads is None:
        return available_threads()
    if threads < 1:
        raise OptionError(f"threads are 1 or more; {threads} came")
    return threads


@contextmanager
def workers(threads: int | None = None) -> Iterator[Workers]:
    """Open a thread pool and yield its `map`; None is as many threads as this process has cores."""
    with ThreadPoolExecutor(check_threads(threads)) as pool:
        yield pool.map


@functools.cache
def shared_pool(threads: int) -> ThreadPoolExecutor:
    """Return the thread pool that all calls with so many threads share.

    Starting threads takes as long as scoring a small scene.
    """
    return ThreadPoolExecutor(threads, thread_name_prefix="matching")


# The child of a fork has the pool, but not its threads, and would wait for them for ever.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=shared_pool.cache_clear)
