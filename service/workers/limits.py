"""The limits of one piece of work in a worker process: memory and processor time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":
    import resource

_STATUS = Path("/proc/self/status")


@contextmanager
def limited(memory: int | None, processor_s: float | None) -> Iterator[None]:
    """Limit what this process may take until the context ends; it gets the signal XCPU over its processor time.

    An allocation over the limit of memory fails, as ``MemoryError`` from NumPy and Pillow, or as the exception that
    another library has for it. Nothing is limited where the system has no such limits.

    Args:
        memory: bytes on top of what this process has by now.
        processor_s: seconds on top of what this process has used by now.
    """
    if sys.platform != "linux":
        yield
        return
    taken = _data_bytes()
    if memory is not None and taken is not None:
        _set(resource.RLIMIT_DATA, taken + memory)
    if processor_s is not None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        _set(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime + processor_s) + 1)
    try:
        yield
    finally:
        _set(resource.RLIMIT_DATA, None)
        _set(resource.RLIMIT_CPU, None)


def _set(kind: int, most: int | None) -> None:
    """Set the soft limit, within the hard one; None sets it to that."""
    _, hard = resource.getrlimit(kind)
    wanted = hard if most is None else most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (wanted, hard))


def _data_bytes() -> int | None:
    """Bytes that count for ``RLIMIT_DATA``: private and writable, whether they are in use or not."""
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmData:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None
