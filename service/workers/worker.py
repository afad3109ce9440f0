"""A worker process, as the process that gives it work sees it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import ParamSpec, Protocol, TypeVar

from scs.errors import DeadlineError, WorkerLostError
from service.workers.channel import receive, send
from service.workers.job import Job, Outcome
from service.workers.nursery import NURSERY

Given = ParamSpec("Given")
Result = TypeVar("Result")


class Worker:
    """A worker process, forked from the nursery.

    Raises:
        ServerError: no process can be started.
    """

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._child = NURSERY.fork(theirs)

    @property
    def descriptor(self) -> int:
        """The socket that takes work, for another process to use while this one does not."""
        return self._socket.fileno()

    def do(self, job: Job) -> Outcome | None:
        """Have a piece of work done, and wait for it; None if the process ended before.

        Raises:
            Exception: the work cannot be sent, which is a fault of this program; whatever pickling raises.
        """
        return exchange(self._socket, job)

    def is_there(self) -> bool:
        """Return whether the process is still there, while it has nothing to do."""
        try:
            self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)  # nothing comes unasked but the end
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def kill(self) -> None:
        """Kill the process; whoever waits for its work learns so at once."""
        self._child.kill()

    def end(self) -> None:
        """Kill the process and forget it; to be called once, and not while work is being done."""
        self._child.kill()
        self._child.forget()
        self._socket.close()


class OwnWorker(Protocol):
    """A worker that is used for one thing, wherever it comes from."""

    def do(self, job: Job) -> Outcome | None:
        """Have a piece of work done, and wait for it; None if the process ended before."""

    def kill(self) -> None:
        """Kill the process; whoever waits for its work learns so at once."""

    def end(self) -> None:
        """Kill the process and forget it."""


_make_worker: Callable[[], OwnWorker] = Worker


def make_workers_by(make: Callable[[], OwnWorker]) -> None:
    """Have :func:`new_worker` make workers in another way, in this process, than from its own nursery."""
    global _make_worker
    _make_worker = make


def new_worker() -> OwnWorker:
    """Return a worker process for one thing.

    Raises:
        ServerError: no process can be started.
    """
    return _make_worker()


def exchange(worker: socket.socket, job: Job) -> Outcome | None:
    """Send a piece of work to a worker, and wait for what becomes of it; None if the process ended before."""
    try:
        send(worker, job)
        outcome: Outcome = receive(worker)
    except (OSError, EOFError):
        return None
    return outcome


def run_once(
    seconds: float,
    memory: int | None,
    work: Callable[Given, Result],
    *args: Given.args,
    **options: Given.kwargs,
) -> Result:
    """Run a function in a worker process of its own, and wait for what it returns, on any thread.

    Args:
        seconds: after which the process is killed.
        memory: bytes that it may take.
        work: a function at the top of a module.
        args: passed on; they need to be picklable.
        options: passed on.

    Raises:
        DeadlineError: it took longer.
        TooLargeError: it needed more memory.
        WorkerLostError: the process was killed from outside, or by a fault of a library.
        UnforeseenError: the work raised what nobody expected.
    """
    worker = new_worker()
    over = threading.Event()

    def give_up() -> None:
        over.set()
        worker.kill()

    timer = threading.Timer(seconds, give_up)
    timer.daemon = True
    timer.start()
    try:
        outcome = worker.do(Job(work, args, options, memory))
    finally:
        timer.cancel()
        timer.join()
        worker.end()
    if outcome is None and over.is_set():
        raise DeadlineError(f"the work took longer than {seconds:g} seconds")
    result: Result = (outcome or Outcome(error=lost())).result()
    return result


def lost() -> WorkerLostError:
    """Return the error of work whose process ended before it was done."""
    return WorkerLostError("the process that did this work ended before it was done")
