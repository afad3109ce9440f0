"""How many cores this process may use: its affinity, and the processor quota of its container (control groups)."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath

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
        groups = list(_groups(root))
    except (OSError, ValueError):  # another system, or a /proc of another kind
        return None
    quotas = [quota for group in groups if (quota := _quota(group)) is not None]
    return min(quotas, default=None)


@cache
def _own_quota() -> float | None:
    return processor_quota()


def _affine_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _groups(root: Path) -> Iterator[Path]:
    """Yield the folders of the groups that limit this process's time, from its own up to the highest to be seen."""
    paths = _paths(root)
    for line in (root / "proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        seen_from, mounted = (_unescaped(part) for part in left.split()[3:5])
        kind, _, options = right.split(maxsplit=2)
        is_ours = kind == "cgroup2" or (kind == "cgroup" and "cpu" in options.split()[-1].split(","))
        if not is_ours or kind not in paths:
            continue
        top, own = root / mounted.lstrip("/"), PurePosixPath(paths[kind])
        # Without a namespace of its own, a container sees its group mounted, and reads a path from the host's root.
        below = own.relative_to(seen_from) if own.is_relative_to(seen_from) else PurePosixPath()
        yield top
        for part in range(len(below.parts)):
            yield top.joinpath(*below.parts[: part + 1])


def _paths(root: Path) -> dict[str, str]:
    """Return the path of this process's group in each hierarchy, by the type of file system that shows it."""
    paths = {}
    for line in (root / "proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            paths["cgroup2"] = path
        elif "cpu" in controllers.split(","):
            paths["cgroup"] = path
    return paths


def _unescaped(text: str) -> str:
    return text.replace("\\040", " ")


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
