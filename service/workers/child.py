"""A worker process: runs one piece of work after the other until its socket is closed."""

from __future__ import annotations

import os
import socket

from models.runtime.memory import trim_heap
from service.workers.channel import receive, send
from service.workers.job import Job, Outcome, run


def serve(commands: socket.socket) -> None:
    """Run the work that comes over a socket, and send back what became of it, until the socket is closed."""
    while answer_next(commands):
        trim_heap()


def answer_next(commands: socket.socket) -> bool:
    """Run the next piece of work that comes over a socket; return whether anybody is there for one more."""
    try:
        job: Job = receive(commands, copied=True)
    except (EOFError, OSError):
        return False
    outcome = run(job)
    del job
    try:
        _answer(commands, outcome)
    except OSError:
        return False
    return True


def _answer(commands: socket.socket, outcome: Outcome) -> None:
    try:
        send(commands, outcome)
    except OSError:
        raise
    except Exception as error:  # a result that cannot be sent is a fault of this program
        send(commands, Outcome(traceback=f"the result of the work cannot be sent: {error!r} in process {os.getpid()}"))
