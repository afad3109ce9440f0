"""Load shedding before a request is read: by the age of the queue, in the manner of CoDel."""

from __future__ import annotations

import math

_TARGET_S = 0.05  # that a request may wait for the event loop to begin with it
_INTERVAL_S = 0.1  # in which one that waited less shows that there is no standing queue
_LEAST, _STEP = 64, 32
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 8.0
_DECLINE = 0.95  # of the pause in each interval in which refusals cost little
_REFUSALS = 0.25  # for each request that is answered


class Shedder:
    """A limit on the requests in progress, which falls while each waits too long for the event loop, and else rises.

    All that are in progress take turns, so that none is ready before most are: with thousands of them, none is in time.
    A long queue that is gone at once is no sign of overload. So it is the shortest wait of an interval that counts
    (K. Nichols, V. Jacobson, "Controlling Queue Delay", ACM Queue 10, 2012). Networks that take long keep no event loop
    from its work; the queue of each network has a limit of its own. Until requests wait, there is no limit.

    Attributes:
        in_progress: requests that were admitted and are not answered, of those that came whole: one whose body is on
            its way waits for its client.
        pause_s: seconds for which a connection whose request was refused should rest, unread: enough for refusals to
            take a small part of the time, however many connections ask again at once.
    """

    def __init__(self) -> None:
        self.in_progress, self.pause_s = 0, _SHORTEST_PAUSE_S
        self._limit: float = math.inf
        self._least_wait, self._until = math.inf, 0.0
        self._refused = self._begun = 0  # in this interval

    def has_rested(self, seconds: float) -> bool:
        """Return whether a connection has rested for long enough, as things are by now."""
        return seconds >= self.pause_s or 2 * self.in_progress < self._limit

    def admits(self, now: float) -> bool:
        """Return whether one more request may be read, at a time on the clock of ``time.monotonic``; count it if not.

        Where none has begun for an interval, those in progress wait for something else than the event loop, such as a
        slow network. That is no reason to refuse others.
        """
        if self.in_progress < self._limit:
            return True
        if now > self._until + _INTERVAL_S:
            self._limit, self._until = 2 * self._limit, now
            return self.in_progress < self._limit
        self._refused += 1
        return False

    def began(self, waited: float, now: float) -> None:
        """Note how many seconds a request has waited for the event loop, on the clock of ``time.monotonic``."""
        self._least_wait = min(self._least_wait, waited)
        self._begun += 1
        if now < self._until:
            return
        if self._least_wait > _TARGET_S:
            self._limit = max(_LEAST, min(self._limit, self.in_progress) // 2)
        elif self._refused:
            self._limit += _STEP
        is_costly = self._refused > self._begun * _REFUSALS
        # It falls slowly: where many have rested at once, they are refused at once.
        pause_s = self.pause_s * 2 if is_costly else self.pause_s * _DECLINE
        self.pause_s = min(max(pause_s, _SHORTEST_PAUSE_S), _LONGEST_PAUSE_S)
        self._least_wait, self._until, self._refused, self._begun = math.inf, now + _INTERVAL_S, 0, 0
