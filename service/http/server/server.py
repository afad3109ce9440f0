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
from typing import Any

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from service.http.server.connection import Connection
from service.shutdown import Stopping

_TICK_S = 0.02
_NEWCOMERS_S = 0.1  # for the request of a connection that was accepted last
_CUT_OFF_S = 1.0  # for refusals to be sent to those whose requests were not finished
_MARGIN_S = 3.0  # for what follows the last answer: models, traces, threads

_TRIES = 100  # to take the last place in the accept queue, while others connect too

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
            _log.info("Uvicorn running on %s (Press CTRL+C to quit)", _address(listener))

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
        loop = asyncio.get_running_loop()
        accepted = []
        for server in self.servers:
            listeners = [socket.socket(fileno=os.dup(listener.fileno())) for listener in server.sockets]
            server.close()
            for listener in listeners:
                accepted.extend(_accept_the_last(listener))
        for listener in sockets or ():
            listener.close()
        for connection in accepted:
            await loop.connect_accepted_socket(self._new_connection, connection)
        await asyncio.sleep(_NEWCOMERS_S)

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


def _address(listener: socket.socket) -> str:
    address = listener.getsockname()
    if isinstance(address, str):  # a Unix socket
        return address
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    return f"http://{host}:{address[1]}"


def _accept_the_last(listener: socket.socket) -> list[socket.socket]:
    """Empty the accept queue of a port, and close the port before anybody else gets into the queue.

    The queue is cut down to one place, and a connection of our own takes it: until the port is closed, others' packets
    are dropped, and their second try is refused. If our own connection cannot be made, the port is closed without it,
    and whoever gets in between sees a reset.
    """
    accepted = []
    with listener:
        listener.listen(0)  # a backlog of 0 leaves one place
        for _ in range(_TRIES):
            accepted.extend(_accept_all(listener))
            own = socket.socket(listener.family, listener.type)
            if _gets_in(own, listener.getsockname()):
                break
            own.close()
    own.close()
    return accepted


def _gets_in(own: socket.socket, address: Any) -> bool:
    """Connect to a port of this machine without blocking, and return whether its accept queue had a place."""
    own.setblocking(False)
    try:
        own.connect_ex(address)
        own.getpeername()
    except OSError:
        return False
    return True


def _accept_all(listener: socket.socket) -> list[socket.socket]:
    listener.setblocking(False)
    accepted = []
    while True:
        try:
            accepted.append(listener.accept()[0])
        except BlockingIOError:
            return accepted
        except ConnectionAbortedError:  # the client left the queue
            continue


def _end_anyway() -> None:
    _log.warning("ended with work unfinished: it did not end by itself within SCS_DRAIN_S and SCS_GRACE_S")
    os._exit(0)
