"""The work on a part of a run, in one process."""

from __future__ import annotations

import pickle
from functools import lru_cache

from service.map.run import Run
from service.map.task import Row, Task, schema_of


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
    finish_part(task, run, part, list(task.rows(run.listed(run.numbers(part)))))


def do_picture(pickled: bytes, run: Run, number: int) -> list[Row]:
    """Do one picture of a run, and return its rows."""
    return list(_task(pickled).rows(run.listed(range(number, number + 1))))


def finish_part(task: Task, run: Run, part: int, rows: list[Row]) -> None:
    """Write the rows of a part."""
    run.write_part(part, sorted(rows, key=lambda row: row["number"]), schema_of(task))


@lru_cache(1)
def _task(pickled: bytes) -> Task:
    task: Task = pickle.loads(pickled)
    return task
