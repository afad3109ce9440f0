"""The priority of worker threads and processes, which is below that of the event loop."""

from __future__ import annotations

import os
import sys
import threading

_BEHIND, _LAST = 5, 19  # steps of niceness
_keeps = False


def give_way() -> None:
    """Lower the priority (niceness) of the calling thread, and of threads it starts, below the event loop's.

    Otherwise a batch of large pictures, which keeps every core busy, makes each request wait for its turn among them,
    and those who only ask whether the service lives. Only Linux has priorities for threads.
    """
    if sys.platform == "linux" and not _keeps:
        own = os.getpriority(os.PRIO_PROCESS, 0)
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(_LAST, own + _BEHIND))


def keep_priority() -> None:
    """Have this process, and those forked from it, not give way any more: for commands, which have no event loop."""
    global _keeps
    _keeps = True
