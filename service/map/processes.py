"""A run on the processes of this machine."""

from __future__ import annotations

import asyncio
import os
import pickle
from collections.abc import Callable, Iterator
from math import inf

from scs.cores import limit_libraries, use_threads
from scs.errors import TooLargeError, WorkerLostError
from service.map.run import Run
from service.map.task import Row, Task, failed
from service.map.work import do_part, do_picture, finish_part
from service.observability.metrics import Metrics
from service.tasks import preload
from service.workers.job import UnforeseenError
from service.workers.nursery import NURSERY
from service.workers.pools import HAS_PROCESSES, Pool, make_pool
from service.workers.thread_priority import keep_priority


def map_here(task: Task, run: Run, processes: int, memory: int, done: Callable[[int], None]) -> None:
    """Do the parts of a run that are not done.

    A part whose process was killed, or failed as nobody foresaw, is done again picture by picture, so that only the
    pictures that it was for fail.

    Args:
        task: what is done.
        run: with which pictures.
        processes: that work on it, each with one thread.
        memory: bytes that one of them may take for a part.
        done: told how many pictures are done, after each part.

    Raises:
        RunError: the rows cannot be written.
        ModelError: the model is not the one that the run began with.
    """
    use_threads(1)
    limit_libraries()
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # others reserve a gigabyte, which counts as taken
    if HAS_PROCESSES:
        for step in (keep_priority, preload.import_all, prepare, *task.steps):
            NURSERY.prepare(step)
    pool = make_pool("parts", processes, processes, Metrics().pool("map"), memory)
    try:
        asyncio.run(_Mapper(task, run, pool, done).map(processes))
    finally:
        pool.close()


def prepare() -> None:
    """Import what work on a run needs, before processes are forked."""
    import service.map.activations
    import service.map.match
    import service.map.predict
    import service.map.work  # noqa: F401


class _Mapper:
    """Hands the parts of a run to processes."""

    def __init__(self, task: Task, run: Run, pool: Pool, done: Callable[[int], None]) -> None:
        self._task, self._run, self._pool, self._done = task, run, pool, done
        self._pickled = pickle.dumps(task)
        self._pending = run.pending()
        self._pictures_done = run.pictures - sum(len(run.numbers(part)) for part in self._pending)

    async def map(self, processes: int) -> None:
        self._done(self._pictures_done)
        parts = iter(self._pending)
        await asyncio.gather(*(self._lane(parts) for _ in range(processes)))

    async def _lane(self, parts: Iterator[int]) -> None:
        for part in parts:
            try:
                await self._pool.run(inf, do_part, self._pickled, self._run, part)
            except (WorkerLostError, UnforeseenError, TooLargeError):
                await self._one_by_one(part)
            self._pictures_done += len(self._run.numbers(part))
            self._done(self._pictures_done)

    async def _one_by_one(self, part: int) -> None:
        rows: list[Row] = []
        for number, listed in self._run.listed(self._run.numbers(part)):
            try:
                rows += await self._pool.run(inf, do_picture, self._pickled, self._run, number)
            except UnforeseenError as error:
                rows.append(failed(number, listed.name, f"it failed as nobody foresaw: {_last_line(error)}"))
            except (WorkerLostError, TooLargeError) as error:
                rows.append(failed(number, listed.name, error))
        finish_part(self._task, self._run, part, rows)


def _last_line(error: UnforeseenError) -> str:
    return str(error).strip().rpartition("\n")[2]
