"""Which threads go first where there are fewer cores than work."""

from __future__ import annotations

import os
import sys
import threading

_BEHIND, _LAST = 5, 19  # steps of niceness


def give_way() -> None:
    """Let the calling thread, and those that it starts, run behind the event loop.

    Otherwise a batch of large pictures, which keeps every core busy, makes each request wait for its turn among them,
    and those who only ask whether the service lives. Only Linux has priorities for threads.
    """
    if sys.platform == "linux":
        own = os.getpriority(os.PRIO_PROCESS, 0)
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(_LAST, own + _BEHIND))
