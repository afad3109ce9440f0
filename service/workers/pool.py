"""A pool of worker processes with a bounded, fair queue: work that is given up is killed with its process."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar

from scs.errors import BusyError, DeadlineError, ScsError
from service.workers.fair_queue import FairQueue
from service.workers.idle import IdleWorkers
from service.workers.job import Job, Outcome, too_late
from service.workers.series import PoolSeries
from service.workers.worker import Worker, lost

_log = logging.getLogger(__name__)

Given = ParamSpec("Given")
Result = TypeVar("Result")

CORES_S = 4.0  # seconds of processor time for each second of a deadline; a worker's threads run beside each other


class WorkerPool:
    """A pool of worker processes for one kind of work; its methods are called on the event loop.

    Processes are forked when they are needed, and idle ones wait for the next work.

    Args:
        kind: what is done here, in the plural, for people and for metrics.
        workers: pieces of work that are done at a time.
        most_waiting: pieces of work that may wait for a worker.
        metrics: told what waits and what is refused.
        memory: bytes that one piece of work may take.
    """

    def __init__(
        self, kind: str, workers: int, most_waiting: int, metrics: PoolSeries, memory: int | None = None
    ) -> None:
        self._kind, self._workers, self._memory, self._metrics = kind, workers, memory, metrics
        self._most = workers + most_waiting
        self._queue: FairQueue[_Task] = FairQueue(most_waiting)
        self._running = 0
        self._idle = IdleWorkers()
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix=kind)
        self._is_closed = False

    async def run(
        self, deadline: float, work: Callable[Given, Result], *args: Given.args, **options: Given.kwargs
    ) -> Result:
        """Run a function in a worker process, and wait for what it returns.

        If the caller is cancelled, the work is cancelled where it waits, and killed where it has begun.

        Args:
            deadline: on the clock of ``time.monotonic``.
            work: a function at the top of a module.
            args: passed on; they need to be picklable.
            options: passed on.

        Raises:
            BusyError: as many pieces of work are waiting as may.
            WorkerLostError: the worker was killed from outside, or by a fault of a library.
            DeadlineError: the deadline passed.
            TooLargeError: the work needed more memory than it may take.
            UnforeseenError: the work raised what nobody expected.
        """
        return await self.run_for("", deadline, work, *args, **options)

    async def run_for(
        self, client: str, deadline: float, work: Callable[Given, Result], *args: Given.args, **options: Given.kwargs
    ) -> Result:
        """Run a function as :meth:`run` does it, in the turn of one client among others."""
        loop = asyncio.get_running_loop()
        left_s = None if deadline == math.inf else deadline - time.monotonic()
        if left_s is not None and left_s <= 0:
            self._metrics.rejected_deadline.inc()
            raise DeadlineError("the time for this request is over, and it was not begun")
        processor_s = None if left_s is None else left_s * CORES_S
        task = _Task(client, Job(work, args, options, self._memory, processor_s), loop.create_future())
        self._put(task)
        self._dispatch()
        try:
            async with asyncio.timeout(left_s):
                value: Result = await task.answer
                return value
        except TimeoutError:
            self._metrics.rejected_deadline.inc()
            raise too_late(left_s, task.has_begun) from None
        except asyncio.CancelledError:
            self._metrics.cancelled.inc()
            raise
        finally:
            self._give_up(task)

    def prestart(self) -> None:
        """Fork one worker before it is needed; called on any thread."""
        worker = Worker()
        if self._is_closed:
            worker.end()
        else:
            self._idle.keep(worker)

    def renew(self) -> None:
        """End the idle workers, so that the next ones are forked from the nursery as it is by now."""
        self._idle.end_all()

    def close(self) -> None:
        """Cancel the work that waits, and kill the workers."""
        self._is_closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._idle.close()

    def _put(self, task: _Task) -> None:
        evicted = self._queue.put(task.client, task)
        if evicted is None:
            self._metrics.waiting.inc()
            return
        self._metrics.rejected_full.inc()
        busy = BusyError(f"at most {self._most} {self._kind} may be at work or wait, and as many are; ask again soon")
        if evicted is task:
            raise busy
        evicted.fail(busy)

    def _dispatch(self) -> None:
        """Hand waiting work to threads, one for each worker, which wait for it."""
        while self._running < self._workers:
            task = self._queue.take()
            if task is None:
                return
            self._metrics.waiting.dec()
            self._running += 1
            task.has_begun = True
            done = asyncio.get_running_loop().run_in_executor(self._threads, self._do, task)
            done.add_done_callback(self._done)

    def _do(self, task: _Task) -> None:
        """Have work done by a worker, on a thread."""
        try:
            worker = self._idle.take()
        except ScsError as error:
            task.deliver(Outcome(error=error))
            return
        if not task.begin(worker):
            self._idle.keep(worker)
            return
        try:
            outcome = worker.do(task.job)
        except Exception:  # it cannot be sent, and nothing of it was
            outcome = Outcome(traceback=traceback.format_exc())
        is_alive = task.end()
        task.deliver(outcome or Outcome(error=lost()))
        if outcome is None or not is_alive or self._is_closed:
            worker.end()
        else:
            self._idle.keep(worker)

    def _done(self, done: asyncio.Future[None]) -> None:
        self._running -= 1
        if not done.cancelled() and (error := done.exception()) is not None:
            _log.error("a worker's thread failed", exc_info=error)
        if self._is_closed:
            return
        self._dispatch()
        self._idle.end_surplus_later()

    def _give_up(self, task: _Task) -> None:
        if task.answer.done() and not task.answer.cancelled():
            return
        if self._queue.remove(task.client, task):
            self._metrics.waiting.dec()
        task.give_up()


class _Task:
    """A piece of work that somebody waits for."""

    def __init__(self, client: str, job: Job, answer: asyncio.Future[Any]) -> None:
        self.client, self.job, self.answer = client, job, answer
        self.has_begun = False
        self._lock = threading.Lock()  # guards which worker is to be killed
        self._worker: Worker | None = None
        self._is_given_up = False

    def begin(self, worker: Worker) -> bool:
        """Note which worker does it; return False where nobody waits for it any more."""
        with self._lock:
            if not self._is_given_up:
                self._worker = worker
            return not self._is_given_up

    def end(self) -> bool:
        """Note that the worker is done; return whether it was left alive."""
        with self._lock:
            self._worker = None
            return not self._is_given_up

    def give_up(self) -> None:
        """Kill the worker that does it, now or as soon as it would begin."""
        with self._lock:
            self._is_given_up = True
            if self._worker is not None:
                self._worker.kill()

    def fail(self, error: Exception) -> None:
        """Raise an error where the task is waited for; called on the event loop."""
        if not self.answer.done():
            self.answer.set_exception(error)

    def deliver(self, outcome: Outcome) -> None:
        """Hand an outcome over to the event loop; called on a thread."""

        def settle() -> None:
            if self.answer.done():
                return
            try:
                self.answer.set_result(outcome.result())
            except Exception as error:  # whatever the work raised
                self.answer.set_exception(error)

        with suppress(RuntimeError):  # the event loop was closed, so nobody waits
            self.answer.get_loop().call_soon_threadsafe(settle)
