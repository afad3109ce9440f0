"""How many cores this process may use: its affinity, and the processor quota of its container (control groups)."""

from __future__ import annotations

import math
import os
from functools import cache
from pathlib import Path

from scs.control_groups import control_groups

THREADS_VARIABLE = "SCS_THREADS"
# Libraries that count the machine's cores by themselves, once, when they are loaded.
_LIBRARIES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")


def usable_cores() -> int:
    """Return how many threads are worth having: ``SCS_THREADS`` if set, else the cores that this process may use.

    Those are the cores of its affinity mask, or fewer where a processor quota does not pay for as many: a thread more
    than that uses the quota up sooner, and all threads then stand still until the next period.
    """
    asked = os.environ.get(THREADS_VARIABLE, "")
    if asked.isdecimal() and int(asked) > 0:
        return int(asked)
    cores = _affine_cores()
    quota = _own_quota()
    return cores if quota is None else min(cores, max(1, math.ceil(quota)))


def use_threads(count: int | None) -> None:
    """Set what `usable_cores` returns, here and in processes started from here; None leaves it as it is."""
    if count is not None:
        os.environ[THREADS_VARIABLE] = str(count)


def limit_libraries() -> None:
    """Hold libraries that are not loaded yet to `usable_cores`, where that is less than the cores they would count.

    They read their variables when they are loaded (OpenBLAS, OpenMP, Numba, OpenCV); one that is set stays.
    """
    cores = usable_cores()
    if cores < _affine_cores():
        for name in _LIBRARIES:
            os.environ.setdefault(name, str(cores))


def processor_quota(root: Path = Path("/")) -> float | None:
    """Return the cores' worth of time that the control groups of this process allow, or None without a limit.

    Read are ``cpu.max`` (version 2) and ``cpu.cfs_quota_us`` by ``cpu.cfs_period_us`` (version 1), of the process's own
    group and of those above it; the least counts.

    Args:
        root: folder that ``proc`` and the mounted groups lie in.
    """
    try:
        groups = list(control_groups("cpu", root))
    except (OSError, ValueError):  # another system, or a /proc of another kind
        return None
    quotas = [quota for group in groups if (quota := _quota(group)) is not None]
    return min(quotas, default=None)


@cache
def _own_quota() -> float | None:
    return processor_quota()


def _affine_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _quota(group: Path) -> float | None:
    """Return the limit of one group in cores, or None where it has none."""
    try:
        quota, period = (group / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (group / "cpu.cfs_quota_us").read_text()
            period = (group / "cpu.cfs_period_us").read_text()
        except OSError:
            return None
    try:
        cores = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):  # "max"
        return None
    return cores if cores > 0 else None  # -1: no limit
