"""The HTTP server, and how it stops: nothing that it accepted is lost."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import selectors
import socket
import struct
import sys
import threading
import time
from contextlib import suppress
from types import FrameType

import uvicorn

from service.http.server.connection import Connection
from service.shutdown import Stopping

_TICK_S = 0.02
_NEWCOMERS_S = 0.1  # for the request of a connection that was accepted last
_CUT_OFF_S = 1.0  # for refusals to be sent to those whose requests were not finished
_MARGIN_S = 3.0  # for what follows the last answer: models, traces, threads

# Of Linux: a socket's filter of packets, and its instruction to end with a packet's length.
_ATTACH_FILTER, _RETURN = 26, 6

_log = logging.getLogger(__name__)


class Server(uvicorn.Server):
    """uvicorn's server with a stop of its own.

    At the first SIGTERM or SIGINT nothing is ready any more, and each answer asks for its connection to be closed.
    Then: for ``drain_s`` everything is served as before, so that whoever sends the requests here can find out and go
    elsewhere; the port is closed; for ``grace_s`` what was accepted is answered; what is left gets a 503. A second
    signal ends the process at once.

    Args:
        config: of uvicorn, with a `Connection` for its ``http``.
        stopping: where the stop is announced.
        drain_s: seconds from the signal to the closing of the port.
        grace_s: seconds from then for requests to be answered.
    """

    def __init__(self, config: uvicorn.Config, stopping: Stopping, drain_s: float, grace_s: float) -> None:
        super().__init__(config)
        self.stopping, self.drain_s, self.grace_s = stopping, drain_s, grace_s

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; at the second signal, stop."""
        if self.should_exit:
            os._exit(128 + sig)
        self.should_exit = self.stopping.begun = True
        # A thread cannot be stopped, and one that still works would keep the process from ending.
        last = threading.Timer(self.drain_s + self.grace_s + _MARGIN_S, _end_anyway)
        last.daemon = True
        last.start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, answer what was accepted, and end the application."""
        self.stopping.begun = True
        _log.info("stopping: %d connections, %d requests", len(self._connections), len(self.server_state.tasks))
        await asyncio.sleep(self.drain_s)
        deadline = time.monotonic() + self.grace_s
        await self._close_port()
        while (self._connections or self.server_state.tasks) and time.monotonic() < deadline:
            self._leave_idle()
            await asyncio.sleep(_TICK_S)
        await self._cut_off()
        await self.lifespan.shutdown()
        _log.info("stopped")

    @property
    def _connections(self) -> set[Connection]:
        return self.server_state.connections  # type: ignore[return-value]

    async def _close_port(self) -> None:
        """Close the port, and accept those who had already been let in by the operating system.

        They may have sent their requests, and would see a reset if they were closed with the port.
        """
        loop = asyncio.get_running_loop()
        accepted = []
        for server in self.servers:
            listeners = [socket.socket(fileno=os.dup(listener.fileno())) for listener in server.sockets]
            server.close()
            for listener in listeners:
                with listener:
                    _let_nobody_in(listener)
                    accepted.extend(_accept_all(listener))
        for connection in accepted:
            await loop.connect_accepted_socket(self._new_connection, connection)
        await asyncio.sleep(_NEWCOMERS_S)

    def _new_connection(self) -> Connection:
        made: Connection = self.config.http_protocol_class(  # type: ignore[call-arg, assignment]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made

    def _leave_idle(self) -> None:
        """Part from those who have asked nothing, or have had their answers.

        Not from those of whom something has arrived that was not read yet: they are served first.
        """
        with selectors.DefaultSelector() as selector:
            for connection in self._connections:
                if connection.is_idle() and not connection.transport.is_closing():
                    selector.register(connection.transport.get_extra_info("socket"), selectors.EVENT_READ, connection)
            idle = {key.data for key in selector.get_map().values()}
            spoken = {key.data for key, _ in selector.select(0)} if idle else set()
        for connection in idle - spoken:
            connection.leave()

    async def _cut_off(self) -> None:
        """Refuse what was not finished in time."""
        unfinished = set(self.server_state.tasks)
        if unfinished:
            _log.error("%d requests were not answered within SCS_GRACE_S=%g seconds", len(unfinished), self.grace_s)
            for task in unfinished:
                task.cancel()
            await asyncio.wait(unfinished, timeout=_CUT_OFF_S)
        for connection in list(self._connections):
            connection.transport.close()
        await asyncio.sleep(0)


def _let_nobody_in(listener: socket.socket) -> None:
    """Have the operating system overlook who knocks, until the port is closed and they are refused.

    Between the last that is accepted and the closing somebody else could be let in, and would see a reset. Where this
    is not allowed, as in some containers, that stays possible.
    """
    if sys.platform != "linux":  # where this is known to work
        return
    instruction = ctypes.create_string_buffer(struct.pack("HBBI", _RETURN, 0, 0, 0), 8)  # nothing of any packet
    program = struct.pack("HL", 1, ctypes.addressof(instruction))
    with suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, program)


def _accept_all(listener: socket.socket) -> list[socket.socket]:
    listener.setblocking(False)
    accepted = []
    while True:
        try:
            accepted.append(listener.accept()[0])
        except BlockingIOError:
            return accepted
        except ConnectionAbortedError:  # gone before it was its turn
            continue


def _end_anyway() -> None:
    _log.warning("ended with work unfinished: it did not end by itself within SCS_DRAIN_S and SCS_GRACE_S")
    os._exit(0)
