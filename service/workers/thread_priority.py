"""The priority of worker threads and processes, which is below that of the event loop."""

from __future__ import annotations

import os
import sys
import threading

_BEHIND, _LAST = 5, 19  # steps of niceness


def give_way() -> None:
    """Lower the priority (niceness) of the calling thread, and of threads it starts, below the event loop's.

    Otherwise a batch of large pictures, which keeps every core busy, makes each request wait for its turn among them,
    and those who only ask whether the service lives. Only Linux has priorities for threads.
    """
    if sys.platform == "linux":
        own = os.getpriority(os.PRIO_PROCESS, 0)
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(_LAST, own + _BEHIND))
