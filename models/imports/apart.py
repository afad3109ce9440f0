"""The process in which networks are tried: one that a network may end, and that is then started anew.

Some kernels of ONNX Runtime divide by the number of places of a map, and end the process where there are none: so it
goes with SqueezeNet on a picture that is too small for it.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context
from typing import Any

import onnxruntime as ort
from numpy.typing import NDArray

from models.runtime.device import usable_cores
from scs.errors import ModelError

Array = NDArray[Any]

_LONGEST_RUN_S = 60  # far more than any network of pictures takes
_FATAL = 4  # the least that the runtime logs: a trial that fails is an answer, not an error
_KEPT = 3  # sessions: of two networks that are compared, and of one that runs between them


class Apart:
    """A process of its own, which is started when it is first needed. Safe to call from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._executor: ProcessPoolExecutor | None = None
        self._pid = 0

    def ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function there, and return what it returns.

        Raises:
            ModelError: it did not end in time, or ended the process.
            Exception: what it raised.
        """
        with self._lock:
            executor = self._executor or self._start()
            try:
                return executor.submit(function, *arguments).result(_LONGEST_RUN_S)
            except BrokenProcessPool:
                self._end(executor)
                raise ModelError(
                    "the network needs to run in ONNX Runtime, and it ended the process in which it was tried: "
                    "export it anew, or with other versions of the exporter"
                ) from None
            except TimeoutError:
                self._end(executor)
                raise ModelError(
                    f"the network needs to answer within {_LONGEST_RUN_S} s and did not: a loop of it may have no end"
                ) from None
            except KeyboardInterrupt:
                self._end(executor)
                raise

    def _start(self) -> ProcessPoolExecutor:
        # Not forked: the runtime has threads in this process, which a fork would not have.
        executor = ProcessPoolExecutor(1, get_context("spawn"), signal.signal, (signal.SIGINT, signal.SIG_IGN))
        self._pid = executor.submit(os.getpid).result()
        self._executor = executor
        return executor

    def _end(self, executor: ProcessPoolExecutor) -> None:
        self._executor = None
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        executor.shutdown()


apart = Apart()

# What follows is called in that process.

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
