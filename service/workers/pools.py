"""The choice between processes and threads for work that takes long."""

from __future__ import annotations

import os

from service.workers.borrowing import BorrowingPool
from service.workers.pool import WorkerPool
from service.workers.series import PoolSeries
from service.workers.thread_pool import ThreadPool

Pool = WorkerPool | BorrowingPool | ThreadPool

HAS_PROCESSES = hasattr(os, "fork")


def make_pool(kind: str, size: int, most_waiting: int, metrics: PoolSeries, memory: int) -> WorkerPool | ThreadPool:
    """Make a pool of processes, which can be killed; of threads where the system cannot fork.

    Args:
        kind: what is done there, in the plural.
        size: pieces of work that are done at a time.
        most_waiting: pieces of work that may wait.
        metrics: told what waits and what is refused.
        memory: bytes that one piece of work may take, in a process.
    """
    if HAS_PROCESSES:
        return WorkerPool(kind, size, most_waiting, metrics, memory)
    return ThreadPool(kind, size, most_waiting, metrics)
