"""Threads that blocks, templates and matrix products are spread over."""

from __future__ import annotations

import functools
import os
from concurrent.futures import ThreadPoolExecutor

from scs.errors import OptionError


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


@functools.cache
def shared_pool(threads: int) -> ThreadPoolExecutor:
    """One pool for all calls with so many threads: starting threads takes as long as scoring a small scene."""
    return ThreadPoolExecutor(threads, thread_name_prefix="matching")


# The child of a fork has the pool, but not its threads, and would wait for them for ever.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=shared_pool.cache_clear)
