"""Worker processes that are lent to several processes: one nursery, one queue and one limit for all of them.

A borrower connects to a Unix socket, says what it wants, and gets the socket of a worker when its turn has come. The
work goes straight from the borrower to the worker. The connection is the loan: when it is closed, because the work was
given up or the borrower was killed, the worker is killed, or the place in the queue is free.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from scs.errors import BusyError, ScsError
from service.workers.channel import OpenFile, receive, send
from service.workers.fair_queue import FairQueue
from service.workers.idle import IdleWorkers
from service.workers.nursery import NURSERY
from service.workers.worker import Worker

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wanted:
    """A borrower's first message.

    Attributes:
        pool: whose worker it wants; None for one of its own, at once.
        client: for whom, as workers are shared fairly among clients.
    """

    pool: str | None
    client: str = ""


@dataclass(frozen=True)
class Refused:
    """The answer in place of a worker's socket."""

    error: ScsError


@dataclass(frozen=True)
class Returned:
    """The borrower's last message: the worker is as it was."""


@dataclass(frozen=True)
class Warm:
    """Have the nursery do something before the next fork, and fork a worker of a pool from it then."""

    pool: str
    step: Callable[[], object]


@dataclass(frozen=True)
class PoolSize:
    """The size of a pool.

    Attributes:
        kind: what is done there, in the plural, for people.
        workers: pieces of work that are done at a time.
        waiting: pieces of work that may wait for a worker.
    """

    kind: str
    workers: int
    waiting: int


@dataclass(frozen=True)
class LentPools:
    """Where workers are lent, and the size of each pool, by name."""

    address: Path
    sizes: Mapping[str, PoolSize]


class Lender:
    """The process's worker pools, lent to whoever connects; its methods are called on the event loop.

    Args:
        listener: a Unix socket that listens.
        pools: by name.
    """

    def __init__(self, listener: socket.socket, pools: Mapping[str, PoolSize]) -> None:
        self._listener = listener
        self._pools = {name: _Pool(size) for name, size in pools.items()}
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Lend workers until cancelled; then end them."""
        self._listener.setblocking(False)
        loop = asyncio.get_running_loop()
        try:
            while True:
                connection, _ = await loop.sock_accept(self._listener)
                task = loop.create_task(self._serve_one(connection))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        finally:
            for pool in self._pools.values():
                pool.close()
            for task in self._tasks:
                task.cancel()

    async def _serve_one(self, connection: socket.socket) -> None:
        with connection:
            try:
                await readable(connection.fileno())
                match receive(connection):
                    case Wanted(None):
                        await _lend(connection, await asyncio.to_thread(Worker), None)
                    case Wanted(str(name), client):
                        await self._pools[name].serve(connection, client)
                    case Warm(name, step):
                        await asyncio.to_thread(self._pools[name].warm, step)
            except (EOFError, OSError):
                pass  # the borrower is gone
            except ScsError as error:
                _log.error("no worker could be lent: %s", error)


class _Pool:
    """The workers of one pool: those that are lent, those that are idle, and who waits for one."""

    def __init__(self, size: PoolSize) -> None:
        self._size = size
        self._queue: FairQueue[asyncio.Future[bool]] = FairQueue(size.waiting)
        self._lent = 0
        self._idle = IdleWorkers()

    def close(self) -> None:
        """End the workers that are idle."""
        self._idle.close()

    def warm(self, step: Callable[[], object]) -> None:
        """Have the nursery do something, and fork a worker from it; called on a thread."""
        NURSERY.prepare(step)
        worker = Worker()
        self._idle.end_all()  # those were forked before
        self._idle.keep(worker)

    async def serve(self, connection: socket.socket, client: str) -> None:
        """Lend a worker when the client's turn has come."""
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if not self._enter(client, turn) or not await self._turn_or_gone(connection, client, turn):
            most = self._size.workers + self._size.waiting
            busy = f"at most {most} {self._size.kind} may be at work or wait, and as many are; ask again soon"
            send(connection, Refused(BusyError(busy)))
            return
        try:
            await _lend(connection, await asyncio.to_thread(self._idle.take), self._idle)
        finally:
            self._lent -= 1
            self._call_next()
            self._idle.end_surplus_later()

    def _enter(self, client: str, turn: asyncio.Future[bool]) -> bool:
        """Have a client's turn come, now or later; return False where there is no place to wait."""
        if self._lent < self._size.workers:
            self._lent += 1
            turn.set_result(True)
            return True
        evicted = self._queue.put(client, turn)
        if evicted is not None and evicted is not turn:
            evicted.set_result(False)
        return evicted is not turn

    async def _turn_or_gone(self, connection: socket.socket, client: str, turn: asyncio.Future[bool]) -> bool:
        """Wait for a turn; raise EOFError where the borrower goes before it comes."""
        gone = asyncio.create_task(readable(connection.fileno()))
        waiting: list[asyncio.Future[Any]] = [turn, gone]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if turn.done():
            gone.cancel()
            await asyncio.wait([gone])  # whose end would take the next reader away
            return turn.result()
        self._queue.remove(client, turn)
        raise EOFError

    def _call_next(self) -> None:
        while self._lent < self._size.workers and (turn := self._queue.take()) is not None:
            self._lent += 1
            turn.set_result(True)


async def _lend(connection: socket.socket, worker: Worker, idle: IdleWorkers | None) -> None:
    """Lend a worker until it is returned, to be kept where it is idle; else until its borrower has gone."""
    try:
        send(connection, OpenFile(worker.descriptor))
        await readable(connection.fileno())
        is_returned = isinstance(receive(connection), Returned)
    except (EOFError, OSError):
        is_returned = False
    except asyncio.CancelledError:
        worker.end()
        raise
    if is_returned and idle is not None and worker.is_there():
        idle.keep(worker)
    else:
        worker.end()


async def readable(descriptor: int) -> None:
    """Wait until there is something to read from a descriptor that blocks, or its end."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, partial(_settle, ready))
    os.set_blocking(descriptor, True)  # uvloop has changed that
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)


def _settle(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
