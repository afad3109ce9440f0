"""The messages between the supervisor and its workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from service.workers.channel import OpenFile
from service.workers.job import Outcome


@dataclass(frozen=True)
class Ready:
    """A worker can serve: from now on it may be told to listen."""


@dataclass(frozen=True)
class Paused:
    """A worker listens to nothing any more, and has accepted what it could."""


@dataclass(frozen=True)
class Ask:
    """A worker asks for something to be done by all workers."""

    number: int
    call: str
    args: tuple[Any, ...]


@dataclass(frozen=True)
class Answer:
    """What became of that, the outcome of the one that asked first."""

    number: int
    outcomes: list[Outcome]


@dataclass(frozen=True)
class Do:
    """A worker shall do something that it has a handler for."""

    number: int
    call: str
    args: tuple[Any, ...]


@dataclass(frozen=True)
class Done:
    """What became of that."""

    number: int
    outcome: Outcome


@dataclass(frozen=True)
class Listen:
    """A worker shall accept the connections of a socket, its own or that of a worker that is not there."""

    worker: int
    socket: OpenFile


@dataclass(frozen=True)
class Leave:
    """A worker shall leave the sockets of another to that one."""

    worker: int


@dataclass(frozen=True)
class Stop:
    """A worker shall stop gracefully.

    Attributes:
        closes_port: whether the service stops with it, so that it drains and is handed the last connections.
    """

    closes_port: bool


@dataclass(frozen=True)
class Connection:
    """A connection that was accepted when the port was closed."""

    socket: OpenFile


@dataclass(frozen=True)
class PortClosed:
    """No more connections come."""
