"""A pool of worker processes that another process lends: work that is given up is killed with its worker."""

from __future__ import annotations

import asyncio
import math
import socket
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import ParamSpec, TypeVar

from scs.errors import BusyError, DeadlineError, ServerError
from service.workers.channel import OpenFile, receive, send
from service.workers.job import Job, Outcome, too_late
from service.workers.lending import Refused, Returned, Wanted, Warm, readable
from service.workers.pool import CORES_S
from service.workers.series import PoolSeries
from service.workers.worker import exchange, lost

Given = ParamSpec("Given")
Result = TypeVar("Result")

_TRIES = 3  # to reach the lender, which is started again where it was killed


class BorrowingPool:
    """A pool of worker processes that several processes share; its methods are called on the event loop.

    Args:
        lender: where workers are lent.
        name: of the pool.
        workers: pieces of work that are done at a time.
        metrics: told what waits and what is refused.
        memory: bytes that one piece of work may take.
    """

    def __init__(self, lender: Path, name: str, workers: int, metrics: PoolSeries, memory: int | None = None) -> None:
        self._lender, self._name, self._metrics, self._memory = lender, name, metrics, memory
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix=name)

    async def run(
        self, deadline: float, work: Callable[Given, Result], *args: Given.args, **options: Given.kwargs
    ) -> Result:
        """Run a function as :meth:`service.workers.pool.WorkerPool.run` does it."""
        return await self.run_for("", deadline, work, *args, **options)

    async def run_for(
        self, client: str, deadline: float, work: Callable[Given, Result], *args: Given.args, **options: Given.kwargs
    ) -> Result:
        """Run a function as :meth:`run` does it, in the turn of one client among others."""
        left_s = None if deadline == math.inf else deadline - time.monotonic()
        if left_s is not None and left_s <= 0:
            self._metrics.rejected_deadline.inc()
            raise DeadlineError("the time for this request is over, and it was not begun")
        job = Job(work, args, options, self._memory, None if left_s is None else left_s * CORES_S)
        loan = _Loan(self._lender, Wanted(self._name, client))
        try:
            async with asyncio.timeout(left_s):
                worker = await self._wait_for(loan)
                outcome = await asyncio.get_running_loop().run_in_executor(self._threads, loan.do, worker, job)
            value: Result = outcome.result()
            return value
        except TimeoutError:
            self._metrics.rejected_deadline.inc()
            raise too_late(left_s, loan.has_begun) from None
        except BusyError:
            self._metrics.rejected_full.inc()
            raise
        except asyncio.CancelledError:
            self._metrics.cancelled.inc()
            raise
        finally:
            loan.end()

    async def _wait_for(self, loan: _Loan) -> socket.socket:
        self._metrics.waiting.inc()
        try:
            return await loan.wait()
        finally:
            self._metrics.waiting.dec()

    def warm(self, step: Callable[[], object]) -> None:
        """Have the lender's nursery do something, and fork a worker from it then; called on any thread."""
        with connect(self._lender) as connection:
            send(connection, Warm(self._name, step))

    def close(self) -> None:
        """Give up what is being done."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class _Loan:
    """A worker that is wanted, then borrowed, then returned, or killed where it is not."""

    def __init__(self, lender: Path, wanted: Wanted) -> None:
        self._lender, self._wanted = lender, wanted
        self._connection: socket.socket | None = None
        self._lock = threading.Lock()  # guards whether it has ended
        self._is_over = False
        self.has_begun = False

    async def wait(self) -> socket.socket:
        """Wait for a worker, and return its socket.

        Raises:
            BusyError: as many wait as may.
            ServerError: there is no lender.
        """
        for _ in range(_TRIES):
            self._connection = connect(self._lender)
            try:
                send(self._connection, self._wanted)
                await readable(self._connection.fileno())
                return _lent(receive(self._connection))
            except (EOFError, OSError):
                self._connection.close()
        raise ServerError("worker processes cannot be had: what lends them ends again and again")

    def do(self, worker: socket.socket, job: Job) -> Outcome:
        """Have the worker do its work, on a thread, and return it where it is as before."""
        self.has_begun = True
        with worker:
            try:
                outcome = exchange(worker, job)
            except Exception:  # it cannot be sent, and nothing of it was
                outcome = Outcome(traceback=traceback.format_exc())
        with self._lock:
            if outcome is not None and not self._is_over and self._connection is not None:
                with suppress(OSError):
                    send(self._connection, Returned())
        return outcome or Outcome(error=lost())

    def end(self) -> None:
        """End the loan; a worker that was not returned is killed."""
        with self._lock:
            self._is_over = True
            if self._connection is not None:
                self._connection.close()


class BorrowedWorker:
    """A worker of one's own, as :class:`service.workers.worker.Worker`, forked by the lender.

    Raises:
        ServerError: there is no lender, or it cannot start a process.
    """

    def __init__(self, lender: Path) -> None:
        for _ in range(_TRIES):
            self._connection = connect(lender)
            try:
                send(self._connection, Wanted(None))
                self._socket = _lent(receive(self._connection))
                return
            except (EOFError, OSError):
                self._connection.close()
        raise ServerError("worker processes cannot be started; what was logged above this may say why")

    def do(self, job: Job) -> Outcome | None:
        """Have a piece of work done, and wait for it; None if the process ended before."""
        return exchange(self._socket, job)

    def kill(self) -> None:
        """Have the process killed; whoever waits for its work learns so at once."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """Have the process killed and forget it; to be called once, and not while work is being done."""
        self._socket.close()
        self._connection.close()


def connect(lender: Path) -> socket.socket:
    """Connect to what lends workers.

    Raises:
        ServerError: it is not there.
    """
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(lender))
    except OSError as error:
        connection.close()
        raise ServerError(f"worker processes cannot be had: {error.strerror or error}") from None
    return connection


def _lent(answer: OpenFile | Refused) -> socket.socket:
    if isinstance(answer, Refused):
        raise answer.error
    return socket.socket(fileno=answer.descriptor)
