"""Numbers of all worker processes in shared memory: a row for each worker, which it alone writes."""

from __future__ import annotations

import mmap
from collections.abc import Iterator

_PID, _MEMORY, _IN_FLIGHT, _LOADED = range(4)
_COLUMNS = 4
_BYTES = 8


class Board:
    """Numbers of each worker, made before the workers are forked and seen by all of them.

    No lock is needed, so none is left locked where a worker is killed.

    Args:
        workers: how many.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._cells = memoryview(mmap.mmap(-1, workers * _COLUMNS * _BYTES)).cast("q")

    def begin(self, worker: int, pid: int) -> None:
        """Note the process of a worker, which has taken nothing yet."""
        self._set(worker, _MEMORY, 0)
        self._set(worker, _IN_FLIGHT, 0)
        self._set(worker, _PID, pid)

    def end(self, worker: int) -> None:
        """Give back what a worker had when its process ended."""
        self.begin(worker, 0)

    def pids(self) -> Iterator[tuple[int, int]]:
        """Yield the number and the process of each worker that there is."""
        for worker in range(self.workers):
            if pid := self._cells[worker * _COLUMNS + _PID]:
                yield worker, pid

    def note_loaded(self, worker: int) -> None:
        """Note that a worker has loaded its models; it stays so, although the worker may be restarted."""
        self._set(worker, _LOADED, 1)

    def all_loaded(self) -> bool:
        """Return whether every worker has loaded its models at least once."""
        return all(self._column(_LOADED))

    def take_memory(self, worker: int, count: int) -> None:
        """Add to the bytes that a worker's requests take; a negative number gives back."""
        self._cells[worker * _COLUMNS + _MEMORY] += count

    def memory(self) -> int:
        """Return the bytes that the requests of all workers take."""
        return sum(self._column(_MEMORY))

    def set_in_flight(self, worker: int, count: int) -> None:
        """Note how many requests a worker is answering."""
        self._set(worker, _IN_FLIGHT, count)

    def in_flight(self) -> int:
        """Return how many requests all workers are answering."""
        return sum(self._column(_IN_FLIGHT))

    def _set(self, worker: int, column: int, value: int) -> None:
        self._cells[worker * _COLUMNS + column] = value

    def _column(self, column: int) -> memoryview:
        return self._cells[column::_COLUMNS]
