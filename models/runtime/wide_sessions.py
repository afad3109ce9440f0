"""Sessions of ONNX Runtime with a thread for every core, of which only those used last are kept.

Each such session has threads of its own. The runtime can share one thread pool among all sessions, but then among all:
those of one thread, which answer small pictures, would take part, at twice the processor time a run. So a model keeps
its session of one thread, and what the wide ones are opened from.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable

import onnxruntime as ort

_MOST_SESSIONS = 16
_MOST_THREADS = 256  # idle ones of all kept sessions together, as long as that leaves some sessions
_LEAST_SESSIONS = 4


class WideSession:
    """A session that is opened when it is asked for, and closed when others were asked for since; not if its run is
    the caller's alone.

    Args:
        cache: which it is kept in.
        make: opens it.
        threads: that it has.
    """

    def __init__(self, cache: WideSessionCache, make: Callable[[], ort.InferenceSession], threads: int) -> None:
        self._cache, self._make, self.threads = cache, make, threads
        self._session: ort.InferenceSession | None = None

    def get(self) -> ort.InferenceSession:
        """Return the session; a run that has begun ends with it even when it is closed meanwhile."""
        session = self._session or self._make()
        self._session = session
        if self.threads > 1:
            self._cache.note_use(self)
        return session

    def open_if_room(self) -> None:
        """Open the session before it is needed, unless another would be closed for it."""
        if self._cache.has_room(self.threads):
            self.get()

    def close(self) -> None:
        """Forget the session; the next that asks opens another."""
        self._session = None


class WideSessionCache:
    """The wide sessions that are open, by their last use; models that are gone take theirs along."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._used: list[weakref.ref[WideSession]] = []  # the longest unused first

    def has_room(self, threads: int) -> bool:
        """Return whether one more session of so many threads would close no other."""
        with self._lock:
            return len(self._living()) < most_sessions(threads)

    def note_use(self, session: WideSession) -> None:
        """Keep a session as the one used last, and close those for which there is no room any more."""
        with self._lock:
            kept = [each for each in self._living() if each is not session]
            room = most_sessions(session.threads) - 1
            for closed in kept[: max(0, len(kept) - room)]:
                closed.close()
            self._used = [weakref.ref(each) for each in (*kept[max(0, len(kept) - room) :], session)]

    def _living(self) -> list[WideSession]:
        return [each for reference in self._used if (each := reference()) is not None]


def most_sessions(threads: int) -> int:
    """Return how many sessions of so many threads are kept; the caller of a run is one of its threads."""
    return min(_MOST_SESSIONS, max(_LEAST_SESSIONS, _MOST_THREADS // max(1, threads - 1)))
