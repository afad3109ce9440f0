"""The HTTP server and its graceful shutdown, in which accepted requests are answered."""

from __future__ import annotations

import asyncio
import logging
import os
import selectors
import socket
import sys
import threading
import time
from types import FrameType

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from service.http.server.accept_queue import accept_the_last
from service.http.server.connection import Connection
from service.shutdown import Stopping

_TICK_S = 0.02
_NEWCOMERS_S = 0.1  # for the request of a connection that was accepted last
_CUT_OFF_S = 1.0  # for refusals to be sent to those whose requests were not finished
_MARGIN_S = 3.0  # for what follows the last answer: models, traces, threads

_log = logging.getLogger(__name__)


class Server(uvicorn.Server):
    """uvicorn's server with a graceful shutdown that loses no connection.

    At the first SIGTERM or SIGINT the readiness check fails, and each answer asks for its connection to be closed.
    Then it drains: for ``drain_s`` everything is served as before, so that a load balancer can find out and send
    requests elsewhere. Then the port is closed, and for ``grace_s`` what was accepted is answered. What is left gets
    a 503. A second signal ends the process at once.

    Args:
        config: of uvicorn, with a `Connection` for its ``http``.
        stopping: where the shutdown is announced.
        drain_s: seconds from the signal to the closing of the port.
        grace_s: seconds from then for requests to be answered.
    """

    def __init__(self, config: uvicorn.Config, stopping: Stopping, drain_s: float, grace_s: float) -> None:
        super().__init__(config)
        self.stopping, self.drain_s, self.grace_s = stopping, drain_s, grace_s

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the graceful shutdown; at the second signal, end the process."""
        if self.should_exit:
            os._exit(128 + sig)
        self.should_exit = self.stopping.begun = True
        # A thread cannot be stopped, and one that still works would keep the process from ending.
        last = threading.Timer(self.drain_s + self.grace_s + _MARGIN_S, _end_anyway)
        last.daemon = True
        last.start()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application and listen; end the process if somebody else listens there by now."""
        try:
            await super().startup(sockets)
        except OSError as error:
            _log.error("cannot listen: %s", error.strerror or error)
            await self.lifespan.shutdown()
            sys.exit(STARTUP_FAILURE)
        for listener in sockets or ():
            _log.info("Uvicorn running on %s (Press CTRL+C to quit)", address_of(listener))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, close the port, answer what was accepted, and end the application."""
        self.stopping.begun = True
        _log.info("stopping: %d connections, %d requests", len(self._connections), len(self.server_state.tasks))
        await asyncio.sleep(self.drain_s)
        deadline = time.monotonic() + self.grace_s
        await self._close_port(sockets)
        while (self._connections or self.server_state.tasks) and time.monotonic() < deadline:
            self._leave_idle()
            await asyncio.sleep(_TICK_S)
        await self._cut_off()
        await self.lifespan.shutdown()
        _log.info("stopped")

    @property
    def _connections(self) -> set[Connection]:
        return self.server_state.connections  # type: ignore[return-value]

    async def _close_port(self, sockets: list[socket.socket] | None) -> None:
        """Close the port, and serve the connections in its accept queue.

        The operating system has let them in. They may have sent their requests, and closing the port would reset them.
        """
        accepted = []
        for server in self.servers:
            listeners = [socket.socket(fileno=os.dup(listener.fileno())) for listener in server.sockets]
            server.close()
            for listener in listeners:
                accepted.extend(accept_the_last([listener]))
        for listener in sockets or ():
            listener.close()
        for connection in accepted:
            await self._serve_connection(connection)
        await asyncio.sleep(_NEWCOMERS_S)

    async def _serve_connection(self, connection: socket.socket) -> None:
        await asyncio.get_running_loop().connect_accepted_socket(self._new_connection, connection)

    def _new_connection(self) -> Connection:
        made: Connection = self.config.http_protocol_class(  # type: ignore[call-arg, assignment]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made

    def _leave_idle(self) -> None:
        """Close idle connections, except those on which data has arrived unread."""
        with selectors.DefaultSelector() as selector:
            for connection in self._connections:
                if connection.is_idle() and not connection.transport.is_closing():
                    selector.register(connection.transport.get_extra_info("socket"), selectors.EVENT_READ, connection)
            idle = {key.data for key in selector.get_map().values()}
            spoken = {key.data for key, _ in selector.select(0)} if idle else set()
        for connection in idle - spoken:
            connection.leave()

    async def _cut_off(self) -> None:
        """Cancel the requests that were not answered in time, and close all connections."""
        unfinished = set(self.server_state.tasks)
        if unfinished:
            _log.error("%d requests were not answered within SCS_GRACE_S=%g seconds", len(unfinished), self.grace_s)
            for task in unfinished:
                task.cancel()
            await asyncio.wait(unfinished, timeout=_CUT_OFF_S)
        for connection in list(self._connections):
            connection.transport.close()
        await asyncio.sleep(0)


def address_of(listener: socket.socket) -> str:
    """Return where a socket listens, for people."""
    address = listener.getsockname()
    if isinstance(address, str):  # a Unix socket
        return address
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    return f"http://{host}:{address[1]}"


def _end_anyway() -> None:
    _log.warning("ended with work unfinished: it did not end by itself within SCS_DRAIN_S and SCS_GRACE_S")
    os._exit(0)
