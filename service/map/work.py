"""The work on a part of a run, in one process."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from functools import lru_cache

from scs.errors import ScsError
from service.map.inputs.read import read
from service.map.run import Run
from service.map.task import Numbered, Row, Task, failed, schema_of

_AT_ONCE = 32  # pictures that are read and decoded together
_BYTES_AT_ONCE = 24 * 2**20


def do_part(pickled: bytes, run: Run, part: int) -> None:
    """Do a part of a run, and write its rows.

    Args:
        pickled: the task, which is unpickled once in a process, as it keeps what it has loaded.
        run: of which it is a part.
        part: its number.

    Raises:
        RunError: they cannot be written.
    """
    task = _task(pickled)
    finish_part(task, run, part, list(_rows(task, run, run.numbers(part))))


def do_picture(pickled: bytes, run: Run, number: int) -> list[Row]:
    """Do one picture of a run, and return its rows."""
    return list(_rows(_task(pickled), run, range(number, number + 1)))


def finish_part(task: Task, run: Run, part: int, rows: list[Row]) -> None:
    """Write the rows of a part."""
    run.write_part(part, sorted(rows, key=lambda row: row["number"]), schema_of(task))


@lru_cache(1)
def _task(pickled: bytes) -> Task:
    task: Task = pickle.loads(pickled)
    return task


def _rows(task: Task, run: Run, numbers: range) -> Iterator[Row]:
    held: list[Numbered] = []
    size = 0
    for number, listed in run.listed(numbers):
        if listed.error is not None:
            yield failed(number, listed.name, listed.error)
            continue
        try:
            file = read(listed)
        except OSError as error:
            yield failed(number, listed.name, error.strerror or str(error))
            continue
        except ScsError as error:
            yield failed(number, listed.name, error)
            continue
        held.append(Numbered(number, file))
        size += len(file.content)
        if len(held) == _AT_ONCE or size >= _BYTES_AT_ONCE:
            yield from task.rows(held)
            held, size = [], 0
    if held:
        yield from task.rows(held)
