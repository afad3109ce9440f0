"""A piece of work for a worker process, and what becomes of it."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from scs.errors import DeadlineError, ScsError, TooLargeError
from service.workers.limits import limited

_MIB = 2**20
# How ONNX Runtime, OpenCV and the C++ library say so.
_OF_MEMORY = ("bad_alloc", "failed to allocate", "insufficient memory", "out of memory", "bfc_arena")


@dataclass(frozen=True)
class Job:
    """A piece of work and its limits.

    Attributes:
        work: a function at the top of a module, by whose name the worker finds it.
        args: of the function; large arrays and bytes arrive in the memory of a file.
        options: its keyword arguments.
        memory: bytes that it may take.
        processor_s: seconds of processor time that it may take.
    """

    work: Callable[..., Any]
    args: tuple[Any, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    memory: int | None = None
    processor_s: float | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a piece of work.

    Attributes:
        value: what it returned, if nothing was raised.
        error: what was raised on purpose.
        traceback: of what was raised otherwise, as text: such an exception may not be one that can be sent.
    """

    value: Any = None
    error: ScsError | None = None
    traceback: str | None = None

    def result(self) -> Any:
        """Return what the work returned, or raise what it raised.

        Raises:
            ScsError: what was raised on purpose.
            UnforeseenError: anything else.
        """
        if self.error is not None:
            raise self.error
        if self.traceback is not None:
            raise UnforeseenError(self.traceback)
        return self.value


class UnforeseenError(Exception):
    """An exception in a worker that nobody raised on purpose; its text is the traceback there."""


def run(job: Job) -> Outcome:
    """Run a piece of work within its limits, whatever it raises."""
    try:
        with limited(job.memory, job.processor_s):
            return Outcome(job.work(*job.args, **job.options))
    except Exception as error:  # each library raises classes of its own
        if _is_of_memory(error):
            return Outcome(error=_too_large(job.memory))
        if isinstance(error, ScsError):
            return Outcome(error=error)
        return Outcome(traceback=traceback.format_exc())


def _too_large(memory: int | None) -> TooLargeError:
    allowed = "there is" if memory is None else f"the {memory // _MIB} MiB that one may take"
    return TooLargeError(f"this request needs more memory than {allowed}; smaller pictures take less")


def _is_of_memory(error: BaseException | None) -> bool:
    """Return whether memory was short, by the words of whatever library first said so."""
    while error is not None and not isinstance(error, TooLargeError):
        said = str(error).lower()
        if isinstance(error, MemoryError) or any(words in said for words in _OF_MEMORY):
            return True
        error = error.__cause__ or error.__context__
    return False


def too_late(left_s: float | None, has_begun: bool) -> DeadlineError:
    """Return the error of work whose deadline passed.

    Args:
        left_s: seconds that were left for it when it was asked for.
        has_begun: whether a worker had it by then.
    """
    done = "not ready" if has_begun else "not begun"
    return DeadlineError(f"the time for this request is over, and it was {done}: {left_s:.1f} seconds were left for it")
