"""The process in which networks are tried: one that a network may end, and that is then started anew.

Some kernels of ONNX Runtime divide by the number of places of a map, and end the process where there are none: so it
goes with SqueezeNet on a picture that is too small for it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import onnxruntime as ort
from numpy.typing import NDArray

from models.runtime.device import usable_cores
from scs.errors import ModelError

Array = NDArray[Any]

_LONGEST_RUN_S = 60  # far more than any network of pictures takes
_TOO_LONG = "the network needs to answer within {} s and did not: a loop of it may have no end"
_ENDED = (
    "the network needs to run in ONNX Runtime, and it ended the process in which it was tried: "
    "export it anew, or with other versions of the exporter"
)
_FATAL = 4  # the least that the runtime logs: a trial that fails is an answer, not an error
_KEPT = 3  # sessions: of two networks that are compared, and of one that runs between them


@dataclass(frozen=True)
class _Child:
    process: subprocess.Popen[bytes]
    connection: Connection

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.connection.close()


class Apart:
    """A process of its own, which is started when it is first needed. Safe to call from several threads.

    Not one of ``multiprocessing``: that runs the main module again, which a script is not written for.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: _Child | None = None

    def ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function there, and return what it returns.

        Raises:
            ModelError: it did not end in time, or ended the process.
            Exception: what it raised.
        """
        with self._lock:
            child = self._child or _start()
            self._child = None
            try:
                child.connection.send((function, arguments))
                if not child.connection.poll(_LONGEST_RUN_S):
                    raise ModelError(_TOO_LONG.format(_LONGEST_RUN_S))
                raised, value = child.connection.recv()
                self._child = child
            except (EOFError, OSError):
                raise ModelError(_ENDED) from None
            finally:
                if self._child is None:
                    child.end()
        if raised is not None:
            raise raised
        return value


def _start() -> _Child:
    ours, theirs = multiprocessing.Pipe()
    with theirs:
        place = theirs.fileno()
        command = [sys.executable, "-c", f"from models.imports.apart import serve; serve({place})"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        # A session of its own: Ctrl-C is for this process, with which that one ends.
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, pass_fds=[place], env=environment, start_new_session=True
        )
    return _Child(process, ours)


apart = Apart()

# What follows runs in that process.


def serve(place: int) -> None:
    """Call the functions that are asked for on a descriptor, one after the other, until it is closed."""
    with Connection(place) as connection:
        while True:
            try:
                function, arguments = connection.recv()
            except EOFError:
                return
            signal.alarm(2 * _LONGEST_RUN_S)  # ends this process where the other was killed meanwhile
            answer: tuple[Exception | None, Any]
            try:
                answer = None, function(*arguments)
            except Exception as error:  # the runtime raises a class of its own for each cause
                answer = error, None
            signal.alarm(0)
            connection.send(answer)


_sessions: OrderedDict[int, ort.InferenceSession] = OrderedDict()


class GoneError(LookupError):
    """A session was closed since, for others or with its process: it has to be opened again."""


def open_session(key: int, model: bytes) -> str:
    """Open a session for the bytes of a model, keep it by a key, and return the name of its first input."""
    options = ort.SessionOptions()
    options.log_severity_level = _FATAL
    options.enable_cpu_mem_arena = False
    options.intra_op_num_threads = usable_cores()
    while len(_sessions) >= _KEPT:
        _sessions.popitem(last=False)
    _sessions[key] = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return str(_sessions[key].get_inputs()[0].name)


def run_session(key: int, names: Sequence[str] | None, given: dict[str, Array]) -> list[Any]:
    """Run a session, and return the tensors named; all outputs for None.

    Raises:
        GoneError: it is not open any more.
        Exception: of the runtime's own, where it does not take what is given.
    """
    if key not in _sessions:
        raise GoneError
    _sessions.move_to_end(key)
    return list(_sessions[key].run(names, given))
