"""The nursery: a process that has everything imported, and from which worker processes are forked at once.

``multiprocessing`` has such a fork server too. This one can be prepared more than once: it forks as soon as it has
imported what models and pictures need, and later loads the compiled loops of matching, when nobody waits for a model.
And it hands out descriptors of its children (``pidfd``), by which none but the process that was meant can be killed.
"""

from __future__ import annotations

import atexit
import gc
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from models.runtime.load import usable_cores
from models.runtime.memory import release_code, trim_heap
from scs.errors import ServerError
from service.workers.channel import OpenFile, receive, send
from service.workers.child import serve
from service.workers.thread_priority import give_way

_log = logging.getLogger(__name__)

_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG


@dataclass(frozen=True)
class Child:
    """A forked process: its number, and on Linux a descriptor of it, by which it is killed."""

    pid: int
    pidfd: int | None

    def kill(self) -> None:
        """End the process at once, whatever it does; one that has ended already stays so."""
        with suppress(ProcessLookupError):
            if self.pidfd is None:
                os.kill(self.pid, signal.SIGKILL)
            else:
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def forget(self) -> None:
        """Close the descriptor; to be called once."""
        if self.pidfd is not None:
            os.close(self.pidfd)


class Nursery:
    """The one nursery of this process, started when it is first asked for something, and anew where it was killed.

    Safe to call from several threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._commands: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._prepared: list[Callable[[], object]] = []
        self._is_closed = False

    @property
    def pid(self) -> int | None:
        """The number of the process, if there is one."""
        return None if self._process is None else self._process.pid

    def prepare(self, step: Callable[[], object]) -> None:
        """Have a function run in the nursery, once, before the next fork; it is not waited for.

        Args:
            step: a function at the top of a module.
        """
        with self._lock:
            if step in self._prepared:
                return
            self._prepared.append(step)
            if self._commands is None:
                self._start()
            else:
                send(self._commands, step)

    def fork(self, commands: socket.socket) -> Child:
        """Fork a worker that takes its work from a socket.

        Raises:
            ServerError: no process can be started.
        """
        with self._lock:
            for _ in range(2):  # it may have been killed since it was last asked
                try:
                    return self._fork(self._commands or self._start(), commands)
                except (OSError, EOFError):
                    self._end()
        raise ServerError("worker processes cannot be started; what the system printed above this may say why")

    def close(self) -> None:
        """End the process and all that were forked from it, for good."""
        self._is_closed = True
        process = self._process
        if process is not None:
            process.kill()  # whoever waits for it holds the lock
        with self._lock:
            self._end()

    def _start(self) -> socket.socket:
        if self._is_closed:
            raise ServerError("the service is stopping, and starts no process any more")
        self._commands, theirs = socket.socketpair()
        code = f"from service.workers.nursery import run_nursery; run_nursery({theirs.fileno()})"
        paths = os.pathsep.join(path for path in sys.path if path)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", code],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": paths},
            )
        for step in self._prepared:
            send(self._commands, step)
        return self._commands

    def _fork(self, commands: socket.socket, work: socket.socket) -> Child:
        send(commands, OpenFile(work.fileno()))
        pid, opened = receive(commands)
        return Child(pid, None if opened is None else opened.descriptor)

    def _end(self) -> None:
        if self._commands is not None:
            self._commands.close()
            self._commands = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


NURSERY = Nursery()
atexit.register(NURSERY.close)


def run_nursery(descriptor: int) -> None:
    """Be the nursery: do what comes over a socket, step by step, and fork, until the socket is closed."""
    for ignored in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)  # these go to whole groups of processes; the service says when to end
    commands = socket.socket(fileno=descriptor)
    while True:
        try:
            asked: OpenFile | Callable[[], object] = receive(commands)
            if isinstance(asked, OpenFile):
                _fork_child(commands, asked.descriptor)
            else:
                _prepare(asked)
        except (EOFError, OSError):
            return


def _prepare(step: Callable[[], object]) -> None:
    try:
        step()
    except Exception:  # the first work that misses it will say to its caller what is wrong
        _log.exception("worker processes could not be prepared")
    gc.collect()
    gc.freeze()  # what is frozen is not touched by the collector, and stays shared between processes
    trim_heap()
    release_code()


def _fork_child(commands: socket.socket, descriptor: int) -> None:
    _reap()
    nursery = os.getpid()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            commands.close()
            end_with_parent(nursery)
            give_way()
            if opencv := sys.modules.get("cv2"):
                opencv.setNumThreads(usable_cores())
            serve(socket.socket(fileno=descriptor))
            status = 0
        finally:
            os._exit(status)
    pidfd = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None
    send(commands, (pid, None if pidfd is None else OpenFile(pidfd)))
    os.close(descriptor)
    if pidfd is not None:
        os.close(pidfd)


def _reap() -> None:
    """Take note of children that have ended, so that the system can forget them."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def end_with_parent(parent: int) -> None:
    """Ask for this process to be killed when its parent ends; on Linux only, elsewhere it ends with its work."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
