"""Which threads go first where there are fewer cores than work."""

from __future__ import annotations

import os
import threading

_BEHIND = 5  # of the 19 steps of niceness


def give_way() -> None:
    """Let the calling thread, and those that it starts, run behind the event loop.

    Otherwise a batch of large pictures, which keeps every core busy, makes each request wait for its turn among them,
    and those who only ask whether the service lives. Only Linux has priorities for threads.
    """
    if hasattr(os, "setpriority") and hasattr(threading, "get_native_id") and os.uname().sysname == "Linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _BEHIND)
