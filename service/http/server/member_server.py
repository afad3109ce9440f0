"""The HTTP server of one worker process among several, which listens where the supervisor says."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections import defaultdict
from collections.abc import Coroutine, Generator
from contextlib import contextmanager

import uvicorn

from service.cluster.member import Member
from service.cluster.messages import Connection, Listen
from service.http.server.server import Server
from service.shutdown import Stopping


class MemberServer(Server):
    """A server that begins to listen, and stops, when the supervisor says so; signals do nothing.

    The sockets that it listens on are the supervisor's as well, so that nothing is lost of their accept queues when
    this process ends: another accepts what waits there.

    Args:
        config, stopping, drain_s, grace_s: as :class:`Server`.
        member: this process's place among the workers.
    """

    def __init__(
        self, config: uvicorn.Config, stopping: Stopping, drain_s: float, grace_s: float, member: Member
    ) -> None:
        super().__init__(config, stopping, drain_s, grace_s)
        self._member = member
        self._listening: defaultdict[int, list[asyncio.Server]] = defaultdict(list)
        self._tasks: set[asyncio.Task[None]] = set()
        self._last_ones = asyncio.Event()
        self._closes_port = True

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals as they are: the supervisor gets them, and some go to all processes at once."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, and tell the supervisor, who then says where to listen."""
        self._member.attach(self)
        await super().startup([])
        self._member.say_ready()

    def listen(self, message: Listen) -> None:
        """Accept the connections of a socket."""
        self._do_later(self._listen(message))

    async def _listen(self, message: Listen) -> None:
        descriptor = os.dup(message.socket.descriptor)
        message.socket.close()
        server = await asyncio.get_running_loop().create_server(
            self._new_connection, sock=socket.socket(fileno=descriptor), backlog=self.config.backlog
        )
        self._listening[message.worker].append(server)

    def leave(self, worker: int) -> None:
        """Leave a worker's sockets to others."""
        for server in self._listening.pop(worker, ()):
            server.close()

    def take(self, message: Connection) -> None:
        """Serve a connection that the supervisor accepted when it closed the port."""
        connection = socket.socket(fileno=os.dup(message.socket.descriptor))
        message.socket.close()
        self._do_later(self._serve_connection(connection))

    def stop(self, closes_port: bool) -> None:
        """Begin the graceful shutdown, of the service or of this worker alone."""
        if not self.should_exit:
            self._closes_port = closes_port
            if not closes_port:
                self.drain_s = 0.0
            self.handle_exit(signal.SIGTERM, None)

    def port_closed(self) -> None:
        """Take note that the supervisor has handed over the last connection."""
        self._last_ones.set()

    async def _close_port(self, sockets: list[socket.socket] | None) -> None:
        for worker in list(self._listening):
            self.leave(worker)
        self._member.say_paused()
        if self._closes_port:
            try:
                async with asyncio.timeout(self.grace_s):
                    await self._last_ones.wait()
            except TimeoutError:
                pass
        await super()._close_port(None)

    def _do_later(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
