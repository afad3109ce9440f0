"""Worker processes that wait for the next work: kept, handed out, and after a while ended but for one."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress

from service.workers.worker import Worker

_IDLE_S = 30.0  # after which all idle workers but one are ended


class IdleWorkers:
    """The workers of one pool that have nothing to do; any thread may keep and take them."""

    def __init__(self) -> None:
        self._workers: deque[Worker] = deque()
        self._shrink: asyncio.TimerHandle | None = None

    def keep(self, worker: Worker) -> None:
        """Keep a worker until it is taken or ended."""
        self._workers.append(worker)

    def take(self) -> Worker:
        """Return the worker that was kept last, unless it was killed meanwhile; where there is none, a new one."""
        while True:
            try:
                worker = self._workers.pop()
            except IndexError:
                return Worker()
            if worker.is_there():
                return worker
            worker.end()

    def end_all(self) -> None:
        """End those that are kept by now."""
        self._end_but(0)

    def end_surplus_later(self) -> None:
        """End all but one of them after a while; called on the event loop."""
        if len(self._workers) > 1 and self._shrink is None:
            self._shrink = asyncio.get_running_loop().call_later(_IDLE_S, self._end_surplus)

    def close(self) -> None:
        """End those that are kept, and none later; called on the event loop."""
        if self._shrink is not None:
            self._shrink.cancel()
        self.end_all()

    def _end_surplus(self) -> None:
        self._shrink = None
        self._end_but(1)

    def _end_but(self, few: int) -> None:
        with suppress(IndexError):  # threads take some too
            while len(self._workers) > few:
                self._workers.popleft().end()
