"""The access log: one line for each answered request."""

from __future__ import annotations

import logging
from json.encoder import encode_basestring_ascii as quoted
from typing import NamedTuple

LOGGER = "service.access"

_log = logging.getLogger(LOGGER)


class Answered(NamedTuple):
    """The fields of a request's line in the access log; the message of its log record."""

    method: str
    route: str  # its template
    status: int
    seconds: float
    model: str  # empty where the request asked none
    size: int  # bytes of the answer's body
    request_id: str  # as the answer carries it
    trace_id: str  # hexadecimal, empty where the request is not traced

    def __str__(self) -> str:
        """Format the message for people."""
        method, route, status, seconds, model, size, *_ = self
        return f"{method} {route} {status} {seconds * 1000:.1f} ms {size} bytes {model}".rstrip()

    def json(self, level: str, time: str) -> str:
        """Format the line as JSON for programs; ``json.dumps`` would double the time that logging it takes."""
        method, route, status, seconds, model, size, request_id, trace_id = self
        trace = f', "trace_id": "{trace_id}"' if trace_id else ""
        return (
            f'{{"time": "{time}", "level": "{level}", "logger": "{LOGGER}", "message": "request answered", '
            f'"request_id": {quoted(request_id)}{trace}, "method": {quoted(method)}, "route": {quoted(route)}, '
            f'"status": {status}, "seconds": {seconds:.6f}, "model": {quoted(model)}, "bytes": {size}}}'
        )


def log_answer(level: int, answered: Answered) -> None:
    """Log an answered request, if the level is on; skip the stack walk that ``Logger.log`` begins with."""
    if _log.isEnabledFor(level):
        _log.handle(logging.LogRecord(LOGGER, level, "", 0, answered, (), None))
