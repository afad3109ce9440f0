"""A run over many pictures, from its inputs to its rows."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from scs.errors import OptionError, ScsError
from service.api.files import shown_name
from service.map.inputs.find import STANDARD_INPUT
from service.map.listed import Listed, write_list
from service.map.run import LIST_FILE, Run, begin_run, locked, open_run, writing
from service.map.task import Task

Doer = Callable[[Task, Run], None]
_LEAST, _MOST = 8, 512  # pictures of a part
_PARTS_EACH = 16  # that a process has at least, so that all end at about the same time


def map_pictures(
    kind: str, task: Task, inputs: Sequence[str], out: Path, do: Doer, names: BinaryIO, processes: int
) -> Run:
    """Do a task on pictures, or go on with it where it was left.

    The list of pictures is made once, when a run begins.

    Args:
        kind: of task, for the run's file.
        task: what is done.
        inputs: see :func:`service.map.inputs.find.find`.
        out: folder of the run.
        do: does the parts of it that are not done.
        names: see :func:`service.map.inputs.find.find`.
        processes: how many work on it, for the size of its parts.

    Raises:
        OptionError: inputs without pictures, or a folder with something else in it.
        RunError: the folder cannot be written to.
    """
    out = out.absolute()  # other processes may have another working directory
    described = {"task": kind, "inputs": [_whole(each) for each in inputs], **task.describe()}
    open_run(out, described)  # before anything is written
    is_new = not out.exists()
    with locked(out):
        try:
            run = open_run(out, described) or _begin(out, task, described, inputs, names, processes)
        except ScsError:
            if is_new:
                shutil.rmtree(out)
            raise
        do(task, run)
        with writing(out):
            task.finish(run)
    return run


def _begin(
    out: Path, task: Task, described: dict[str, Any], inputs: Sequence[str], names: BinaryIO, processes: int
) -> Run:
    with writing(out):
        count = write_list(out / LIST_FILE, _readable(task.listed(inputs, names, out)))
        if not count:
            raise OptionError("pictures are needed; none were listed")
        part = min(max(_LEAST, -(-count // (_PARTS_EACH * processes))), _MOST)
        return begin_run(out, described, count, part)


def _readable(listed: Iterator[Listed]) -> Iterator[Listed]:
    try:
        yield from listed
    except OSError as error:
        raise OptionError(f"{shown_name(str(error.filename))} cannot be read: {error.strerror}") from None


def _whole(each: str) -> str:
    return each if each == STANDARD_INPUT else os.path.abspath(each)
