"""A worker process as a member of its cluster: it does what the supervisor says, and asks for what all shall do."""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
import traceback
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from scs.errors import ScsError, ServerError
from service.cluster.board import Board
from service.cluster.line import Line
from service.cluster.messages import Answer, Ask, Connection, Do, Done, Leave, Listen, Paused, PortClosed, Ready, Stop
from service.workers.job import Outcome
from service.workers.lending import LentPools

_log = logging.getLogger(__name__)

Handler = Callable[..., Awaitable[Any]]
Change = tuple[str, tuple[Any, ...]]


class Listening(Protocol):
    """What a server does when the supervisor says so."""

    def listen(self, message: Listen) -> None:
        """Accept the connections of a socket."""

    def leave(self, worker: int) -> None:
        """Accept those of a worker's sockets no more."""

    def take(self, message: Connection) -> None:
        """Serve a connection that was accepted elsewhere."""

    def stop(self, closes_port: bool) -> None:
        """Stop gracefully."""

    def port_closed(self) -> None:
        """Take note that no more connections come."""


class Member:
    """This worker process among all; its methods are called on the event loop, once it is attached.

    Args:
        index: the number of this worker, from 0; one that is restarted keeps it.
        board: numbers of all.
        end: of the line to the supervisor.
        folder: a private one that all workers share.
        lent: the pools of workers that all share.
        is_replacement: whether others serve already, so that this one begins only when its models are loaded.
        changes: of the models that were made before this process began, for it to make as well.

    Attributes:
        handlers: what the others may have done here, by name.
    """

    def __init__(
        self,
        index: int,
        board: Board,
        end: socket.socket,
        folder: Path,
        lent: LentPools,
        is_replacement: bool = False,
        changes: Sequence[Change] = (),
    ) -> None:
        self.index, self.board, self.folder, self.lent = index, board, folder, lent
        self.is_replacement, self.changes = is_replacement, changes
        self.handlers: dict[str, Handler] = {}
        self._end = end
        self._line: Line | None = None
        self._server: Listening | None = None
        self._numbers = itertools.count()
        self._asked: dict[int, asyncio.Future[list[Outcome]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def attach(self, server: Listening) -> None:
        """Begin to hear what the supervisor says."""
        self._server = server
        self._line = Line(self._end, self._heard, self._left_alone)

    def say_ready(self) -> None:
        """Tell the supervisor that this worker can serve."""
        self._say(Ready())

    def say_paused(self) -> None:
        """Tell the supervisor that this worker listens no more."""
        self._say(Paused())

    async def ask_all(self, call: str, *args: Any) -> list[Outcome]:
        """Have something done by every worker, and wait until all have done it.

        Returns:
            What became of it, this worker's outcome first. A worker that ended meanwhile has none.

        Raises:
            ServerError: the supervisor is gone.
        """
        number = next(self._numbers)
        answer: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        try:
            self._say(Ask(number, call, args))
            return await answer
        finally:
            del self._asked[number]

    def _say(self, message: object) -> None:
        if self._line is None:
            raise ServerError("the service is stopping, and its supervisor is gone")
        self._line.say(message)

    def _heard(self, message: object) -> None:
        assert self._server is not None
        match message:
            case Do():
                task = asyncio.get_running_loop().create_task(self._do(message))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            case Answer(number, outcomes):
                if (asked := self._asked.get(number)) is not None and not asked.done():
                    asked.set_result(outcomes)
            case Listen():
                self._server.listen(message)
            case Leave(worker):
                self._server.leave(worker)
            case Connection():
                self._server.take(message)
            case Stop(closes_port):
                self._server.stop(closes_port)
            case PortClosed():
                self._server.port_closed()

    async def _do(self, asked: Do) -> None:
        try:
            outcome = Outcome(await self.handlers[asked.call](*asked.args))
        except ScsError as error:
            outcome = Outcome(error=error)
        except Exception:
            outcome = Outcome(traceback=traceback.format_exc())
        self._say(Done(asked.number, outcome))

    def _left_alone(self) -> None:
        _log.error("the supervisor is gone; this worker stops")
        self._line = None
        for asked in self._asked.values():
            if not asked.done():
                asked.set_exception(ServerError("the service is stopping, and its supervisor is gone"))
        assert self._server is not None
        self._server.stop(closes_port=True)
        self._server.port_closed()
