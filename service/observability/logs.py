"""Logging as lines of JSON for programs or of text for people, each with the id of its request."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from contextvars import ContextVar
from typing import Any, Literal

from scs.printable import printable
from service.observability.access_log import Answered
from service.observability.tracing import trace_id

LogFormat = Literal["auto", "json", "text"]
LogLevel = Literal["debug", "info", "warning", "error"]

request_id: ContextVar[str] = ContextVar("request_id", default="")

_log = logging.getLogger(__name__)


def is_json(form: LogFormat) -> bool:
    """Return whether logs of this form are JSON; ``auto`` is, unless stderr is a terminal."""
    return form == "json" or (form == "auto" and not sys.stderr.isatty())


def configure_logging(level: LogLevel, form: LogFormat) -> None:
    """Send all logs and warnings to stderr in one form; ``auto`` is text on a terminal, else JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if is_json(form) else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Neither form says who wrote a line, so no record needs to find that out (the "Optimization" of Python's logging).
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.captureWarnings(True)
    threading.excepthook = _log_thread_failure


class JsonFormatter(logging.Formatter):
    """A formatter of records as lines of JSON: time in UTC, level, logger, message, and the request's id if any.

    An exception is in ``exception``, its traceback included.
    """

    def __init__(self) -> None:
        super().__init__()
        self._second, self._prefix = 0, ""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record as one line, without the line break."""
        if isinstance(record.msg, Answered):
            return record.msg.json(record.levelname, self._time(record.created))
        line = {
            "time": self._time(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name, value in (("request_id", request_id.get()), ("trace_id", trace_id())):
            if value:
                line[name] = value
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = self.formatStack(record.stack_info)
        return json.dumps(line)

    def _time(self, created: float) -> str:
        second = int(created)
        if second != self._second:
            self._prefix = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = second
        return f"{self._prefix}.{int((created - second) * 1000):03d}Z"


class TextFormatter(logging.Formatter):
    """A formatter of records as lines for people, with the request's id at the end; terminals obey nothing in them."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (the base class's name)
        """Format the line of a record, without the traceback that may follow."""
        about = record.msg.request_id if isinstance(record.msg, Answered) else request_id.get()
        return printable(super().formatMessage(record) + (f" [{about}]" if about else ""))

    def formatException(self, ei: Any) -> str:  # noqa: N802
        """Format a traceback; its line breaks stay."""
        return printable(super().formatException(ei), keep="\n\t")


def _log_thread_failure(failed: threading.ExceptHookArgs) -> None:
    if failed.exc_value is not None:
        name = failed.thread.name if failed.thread else "a thread"
        _log.error("%s failed", name, exc_info=failed.exc_value)
