"""What is recorded of every answered request: its metrics, its line in the access log, and its id."""

from __future__ import annotations

import logging
import random

from starlette.types import Scope

from service.observability.access_log import Answered, log_answer
from service.observability.metrics import Metrics
from service.observability.tracing import trace_id

_LONGEST_ID = 128
_OTHER = "other"  # the documentation, every path that there is no route for, and what is refused before it is routed
_QUIET = {"/metrics", "/v2/health/live", "/v2/health/ready"}  # probed and scraped every few seconds
_random = random.Random().getrandbits  # ids need to differ, not to be hard to guess


class RequestLog:
    """Count answered requests in the metrics, and write them to the access log.

    A request is counted by its route's template, never by its path, whose number has no bound.
    """

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics

    def note(self, scope: Scope, identity: str, status: int, size: int, seconds: float) -> None:
        """Record an answer of so many bytes, given after so many seconds."""
        route = scope.get("route")
        template: str = _OTHER if route is None else route.path_format
        model: str = scope["state"].get("model", "") if "state" in scope else ""
        count, durations = self.metrics.request(template, model, status)
        count.inc()
        durations.observe(seconds)
        level = logging.DEBUG if template in _QUIET else logging.INFO
        method = scope.get("method", "-")  # unknown where not even a head came
        log_answer(level, Answered(method, template, status, seconds, model, size, identity, trace_id()))


def identify(headers: list[tuple[bytes, bytes]]) -> str:
    """Return a request's own ``X-Request-ID``, if it is printable ASCII of at most 128 characters, else a new one."""
    for name, value in headers:
        if name == b"x-request-id":
            text: str = value.decode("latin-1")
            if text and len(text) <= _LONGEST_ID and text.isascii() and text.isprintable():
                return text
            break
    return f"{_random(128):032x}"
