"""A thread pool with a bounded queue, for work that keeps cores busy for a while."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from scs.errors import BusyError, DeadlineError
from service.workers.series import PoolSeries
from service.workers.thread_priority import give_way

Given = ParamSpec("Given")
Result = TypeVar("Result")


class ThreadPool:
    """A thread pool with a bounded queue for one kind of work; its methods are called on the event loop.

    A thread cannot be stopped: work that is given up after it was begun keeps its thread until it ends by itself.

    Args:
        kind: what is done here, in the plural, for people and for metrics.
        threads: pieces of work that are done at a time.
        most_waiting: pieces of work that may wait for a thread.
        metrics: told what waits and what is refused.
    """

    def __init__(self, kind: str, threads: int, most_waiting: int, metrics: PoolSeries) -> None:
        self._kind, self._most = kind, threads + most_waiting
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=kind, initializer=give_way)
        self._metrics = metrics
        self._lock = threading.Lock()  # guards the count of work, which the threads lower
        self._present = 0

    async def run(
        self, deadline: float, work: Callable[Given, Result], *args: Given.args, **options: Given.kwargs
    ) -> Result:
        """Run a function on a thread; refuse it while the queue is full (backpressure).

        If the caller is cancelled while the work waits, the work is cancelled too.

        Args:
            deadline: on the clock of ``time.monotonic``.
            work: what to do.
            args: passed on.
            options: passed on.

        Raises:
            BusyError: as many pieces of work are waiting as may.
            DeadlineError: the deadline passed; work that had not begun is not done.
        """
        if self._present >= self._most:
            self._metrics.rejected_full.inc()
            raise BusyError(
                f"at most {self._most} {self._kind} may be at work or wait, and as many are; ask again soon"
            )
        begun = False

        def begin() -> Result:
            nonlocal begun
            begun = True
            self._metrics.waiting.dec()
            return work(*args, **options)

        def left(_: Future[Result]) -> None:
            with self._lock:
                self._present -= 1
            if not begun:
                self._metrics.waiting.dec()

        with self._lock:
            self._present += 1
        self._metrics.waiting.inc()
        future = self._executor.submit(begin)
        future.add_done_callback(left)
        try:
            left_s = None if deadline == math.inf else deadline - time.monotonic()
            return await asyncio.wait_for(asyncio.wrap_future(future), left_s)
        except TimeoutError:
            self._metrics.rejected_deadline.inc()
            done = "not ready" if begun else "not begun"
            raise DeadlineError(f"the time for this request is over, and it was {done}") from None
        except asyncio.CancelledError:
            if not begun:
                self._metrics.cancelled.inc()
            raise

    async def run_for(
        self, client: str, deadline: float, work: Callable[Given, Result], *args: Given.args, **options: Given.kwargs
    ) -> Result:
        """Run a function as :meth:`run` does it; threads are not shared by client."""
        return await self.run(deadline, work, *args, **options)

    def renew(self) -> None:
        """Do nothing: a thread has all that its process has."""

    def prestart(self) -> None:
        """Do nothing: a thread starts at once."""

    def close(self) -> None:
        """Cancel the work that waits; work that has begun ends by itself."""
        self._executor.shutdown(wait=False, cancel_futures=True)
