"""What keeps models from running on CUDA, found out where that leaves nothing behind."""

from __future__ import annotations

from functools import cache

from models.runtime import device
from scs.errors import DeadlineError, ServerError, WorkerLostError
from service.workers.job import UnforeseenError
from service.workers.pools import HAS_PROCESSES
from service.workers.worker import run_once

_PROBE_S = 120.0  # the first use of a device may compile its kernels


@cache
def cuda_obstacle() -> str | None:
    """Return what keeps models from running on CUDA, or None.

    It is tried in a worker: a context on the device takes hundreds of megabytes, and is gone only with its process.
    """
    if not (HAS_PROCESSES and device.is_built_for_cuda()):
        return device.cuda_obstacle()
    try:
        return run_once(_PROBE_S, None, device.cuda_obstacle)
    except (DeadlineError, ServerError, UnforeseenError, WorkerLostError) as error:
        return f"a test on it failed: {error}"
