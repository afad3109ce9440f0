"""Lines that native libraries write to file descriptor 2, as records of the log."""

from __future__ import annotations

import faulthandler
import logging
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

_log = logging.getLogger("stderr")

_PIPE_BYTES = 2**20
_LAST_S = 1.0  # for what was written last, while a child process may hold the pipe open
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_OURS = '{"time": "'  # a line of the log, written by a child process


@contextmanager
def native_stderr_logged() -> Iterator[None]:
    """Log each line that is written to file descriptor 2, by libraries in C and by child processes, while it lasts.

    ``sys.stderr`` goes on to where it went, tracebacks included, and so do the reports of fatal signals
    (``faulthandler``). A library that writes more than the pipe holds, without letting Python read it, loses the rest:
    it may hold the interpreter's lock, and would wait for ever. Does nothing where there is no POSIX.
    """
    if os.name != "posix":
        yield
        return
    before = sys.stderr
    before.flush()
    kept = os.dup(2)
    direct = sys.stderr = open(kept, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    faulthandler.enable(kept)
    reader = threading.Thread(target=_log_lines, args=(_redirect(2), direct), name="stderr", daemon=True)
    reader.start()
    try:
        yield
    finally:
        os.dup2(kept, 2)  # closes the pipe, so that the reader comes to its end
        reader.join(_LAST_S)
        sys.stderr = before


def _redirect(descriptor: int) -> int:
    """Make a descriptor the end of a pipe that is written to; return the one that is read."""
    end, start = os.pipe()
    os.set_blocking(start, False)
    if sys.platform == "linux":
        import fcntl

        fcntl.fcntl(start, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    os.dup2(start, descriptor)
    os.close(start)
    return end


def _log_lines(end: int, direct: TextIO) -> None:
    with open(end, "rb") as pipe:
        for line in pipe:
            text = _COLOURS.sub("", line.decode("utf-8", "replace")).rstrip()
            if text.startswith(_OURS):
                direct.write(f"{text}\n")
            elif text:
                _log.warning("%s", text)
