"""A line between two processes: messages both ways over a socket, read on the event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from service.workers.channel import receive, send


class Line:
    """One end of a line; its methods are called on the event loop.

    Args:
        end: a socket that blocks; messages are short, so neither side waits for long.
        on_message: called with each message.
        on_end: called once, when the other side is gone.
    """

    def __init__(self, end: socket.socket, on_message: Callable[[Any], None], on_end: Callable[[], None]) -> None:
        self.socket, self._on_message, self._on_end = end, on_message, on_end
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(end.fileno(), self._read)
        end.setblocking(True)  # uvloop has changed that

    def say(self, message: object) -> None:
        """Send a message; one to a process that is gone is lost, which `on_end` tells soon."""
        with suppress(OSError):
            send(self.socket, message)

    def close(self) -> None:
        """Close this end."""
        if self.socket.fileno() != -1:
            self._loop.remove_reader(self.socket.fileno())
            self.socket.close()

    def _read(self) -> None:
        try:
            message = receive(self.socket)
        except (EOFError, OSError):
            self.close()
            self._on_end()
            return
        self._on_message(message)
