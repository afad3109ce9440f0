"""Threads that blocks, templates and matrix products are spread over."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol, TypeVar

from scs.errors import OptionError

Item = TypeVar("Item")
Result = TypeVar("Result")


class Workers(Protocol):
    """A `map` on several threads."""

    def __call__(self, function: Callable[[Item], Result], items: Iterable[Item], /) -> Iterable[Result]:
        """Results in the order of the items."""


def available_threads() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_threads(threads: int | None) -> int:
    """Give the number of threads, every core's for None.

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
    """Give a `map` that runs on so many threads; None is as many as there are cores for this process."""
    with ThreadPoolExecutor(check_threads(threads)) as pool:
        yield pool.map


@functools.cache
def shared_pool(threads: int) -> ThreadPoolExecutor:
    """One pool for all calls with so many threads: starting threads takes as long as scoring a small scene."""
    return ThreadPoolExecutor(threads, thread_name_prefix="matching")


# The child of a fork has the pool, but not its threads, and would wait for them for ever.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=shared_pool.cache_clear)
