"""The accept queues of a port, emptied before the port is closed."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

_TRIES = 100  # to take the last place in each accept queue, while others connect too
_CONNECTIONS = 16  # of our own, for each queue: the system chooses the queue by a hash of where a connection comes from


def accept_the_last(listeners: Sequence[socket.socket]) -> list[socket.socket]:
    """Empty the accept queues of a port, and close the port before anybody else gets into a queue.

    Each queue is cut down to one place, and connections of our own take these: until the port is closed, others'
    packets are dropped, and their second try is refused. If our own connections cannot be made, the port is closed
    without them, and whoever gets in between sees a reset.

    Args:
        listeners: all that share the port (``SO_REUSEPORT``).
    """
    accepted: list[socket.socket] = []
    with ExitStack() as closing:
        for listener in listeners:
            closing.enter_context(listener)
            listener.listen(0)  # a backlog of 0 leaves one place
        for _ in range(_TRIES):
            for listener in listeners:
                accepted.extend(_accept_all(listener))
            if _take_all_places(listeners, closing):
                break
    return accepted


def _take_all_places(listeners: Sequence[socket.socket], closing: ExitStack) -> bool:
    """Connect to a port of this machine until its queues are full; return whether all places are our own."""
    own = []
    for _ in range(_CONNECTIONS * len(listeners) if len(listeners) > 1 else 1):
        trial = socket.socket(listeners[0].family, listeners[0].type)
        if not _gets_in(trial, listeners[0].getsockname()):
            trial.close()
            continue
        own.append(trial)
        if len(own) == len(listeners):
            for each in own:
                closing.enter_context(each)
            return True
    for each in own:
        each.close()
    return False


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
