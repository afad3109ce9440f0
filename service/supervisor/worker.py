"""A worker process as the supervisor sees it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress

from service.cluster.line import Line
from service.cluster.messages import Done, Paused, Ready
from service.workers.job import Outcome


class Worker:
    """A worker process that was forked; its methods are called on the event loop.

    Args:
        index: its number, which the process that replaces it will have, too.
        pid: of the process.
        end: of the line to it.
        on_message: called with the worker and each message that is not an answer to something.

    Attributes:
        is_ready: set once it can serve, or has ended.
        is_paused: set once it listens to nothing, or has ended.
        ended: becomes the exit code of the process, negative for a signal.
    """

    def __init__(self, index: int, pid: int, end: socket.socket, on_message: Callable[[Worker, object], None]) -> None:
        loop = asyncio.get_running_loop()
        self.index, self.pid = index, pid
        self.is_ready, self.is_paused = asyncio.Event(), asyncio.Event()
        self.ended: asyncio.Future[int] = loop.create_future()
        self.has_served = False
        self._on_message = on_message
        self._done: dict[int, asyncio.Future[Outcome | None]] = {}
        self._pidfd = os.pidfd_open(pid)
        self.line = Line(end, self._heard, lambda: None)
        loop.add_reader(self._pidfd, self._has_ended)

    @property
    def serves(self) -> bool:
        """Whether it has begun to serve, and has neither ended nor been told to stop."""
        return self.has_served and not self.ended.done() and not self.is_paused.is_set()

    def descriptors(self) -> list[int]:
        """List what another process that is forked now must not keep open."""
        return [self._pidfd, self.line.socket.fileno()]

    def result_of(self, number: int) -> asyncio.Future[Outcome | None]:
        """Return what becomes of something that it is told to do; None if it ends before."""
        result: asyncio.Future[Outcome | None] = asyncio.get_running_loop().create_future()
        if self.ended.done():
            result.set_result(None)
        else:
            self._done[number] = result
        return result

    def kill(self) -> None:
        """End the process at once."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def _heard(self, message: object) -> None:
        match message:
            case Done(number, outcome):
                if (result := self._done.pop(number, None)) is not None:
                    result.set_result(outcome)
            case Ready():
                self.has_served = True
                self.is_ready.set()
                self._on_message(self, message)
            case Paused():
                self.is_paused.set()
            case _:
                self._on_message(self, message)

    def _has_ended(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._pidfd)
        _, status = os.waitpid(self.pid, 0)
        os.close(self._pidfd)
        self.line.close()
        for result in self._done.values():
            result.set_result(None)
        self._done.clear()
        self.ended.set_result(os.waitstatus_to_exitcode(status))
        self.is_ready.set()
        self.is_paused.set()
