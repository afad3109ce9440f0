"""The accept queues of a port, emptied before the port is closed."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

_LONGEST_S = 0.5  # for connections of others that are being made, and to take the last places while others connect too
_PAUSE_S = 0.002
_BACKLOG = 15  # fewer than that many handshakes at once are remembered; over it Linux sends cookies, and forgets them
_PLACES = _BACKLOG + 1  # as Linux counts
_CONNECTIONS = 16  # for each place: the system chooses the queue by a hash of where a connection comes from
_SYN_RECV = "03"  # as Linux writes it: the last packet of the handshake has not come, or found no place


def accept_the_last(listeners: Sequence[socket.socket]) -> list[socket.socket]:
    """Empty the accept queues of a port, and close the port before anybody else gets into a queue.

    Each queue is cut down to a few places, and connections of our own take these: until the port is closed, others'
    packets are dropped, and their second try is refused. Whose handshake had begun before takes its connection for
    made, so it is waited for. If our own connections cannot be made, the port is closed without them, and whoever gets
    in between sees a reset.

    Args:
        listeners: all that share the port (``SO_REUSEPORT``).
    """
    accepted: list[socket.socket] = []
    with ExitStack() as closing:
        for listener in listeners:
            closing.enter_context(listener)
            listener.listen(_BACKLOG)
        deadline = time.monotonic() + _LONGEST_S
        while time.monotonic() < deadline:
            accepted.extend(_accept_from(listeners))
            with ExitStack() as own:
                if _take_all_places(listeners, own) and not _is_handshake_open(listeners[0]):
                    closing.push(own.pop_all())
                    break
            accepted.extend(_accept_from(listeners))
            time.sleep(_PAUSE_S)
    return accepted


def _take_all_places(listeners: Sequence[socket.socket], own: ExitStack) -> bool:
    """Connect to a port of this machine until its queues are full; return whether all places are our own."""
    taken, places = 0, _PLACES * len(listeners)
    for _ in range(_CONNECTIONS * places if len(listeners) > 1 else places):
        trial = own.enter_context(socket.socket(listeners[0].family, listeners[0].type))
        if _gets_in(trial, listeners[0].getsockname()):
            taken += 1
        else:
            trial.close()
        if taken == places:
            return True
    return False


def _is_handshake_open(listener: socket.socket) -> bool:
    """Return whether somebody is about to connect to this port, by Linux's table of connections."""
    if listener.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    port = f"{listener.getsockname()[1]:04X}"
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        if not table.exists():
            continue
        for line in table.read_text().splitlines()[1:]:
            _, own_end, _, state, *_ = line.split()
            if state == _SYN_RECV and own_end.endswith(f":{port}"):
                return True
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


def _accept_from(listeners: Sequence[socket.socket]) -> list[socket.socket]:
    return [connection for listener in listeners for connection in _accept_all(listener)]


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
