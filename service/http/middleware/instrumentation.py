"""Instrumentation of every request: its id, metrics and access log line, and a 500 for an unhandled exception."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from http import HTTPStatus

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http.problems import CLIENT_GONE, failure, unforeseen
from service.observability.access_log import Answered, log_answer
from service.observability.logs import request_id
from service.observability.metrics import Metrics
from service.observability.tracing import trace_id
from service.shutdown import Stopping

_LONGEST_ID = 128
_OTHER = "other"  # the documentation, and every path that there is no route for
_QUIET = {"/metrics", "/v2/health/live", "/v2/health/ready"}  # probed and scraped every few seconds
_CLOSE = (b"connection", b"close")
NO_SNIFFING = (b"x-content-type-options", b"nosniff")  # an answer is what its content type says, whatever is in it


class Instrumentation:
    """The outermost ASGI middleware: request ids, metrics, the access log, and unhandled exceptions.

    An answer carries ``X-Request-ID``: the request's own if that is printable ASCII of at most 128 characters, else one
    made here. It also carries ``X-Content-Type-Options``. A request is counted by its route's template, never by its
    path, whose number has no bound.

    Args:
        app: the rest.
        metrics: where requests are counted.
        stopping: where a stop is announced.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, stopping: Stopping) -> None:
        self.app, self.metrics, self.stopping = app, metrics, stopping
        self._random = random.Random().getrandbits  # ids need to differ, not to be hard to guess

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and record its status, size and duration."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        metrics = self.metrics
        metrics.in_flight += 1
        identity = _given_id(scope) or f"{self._random(128):032x}"
        token = request_id.set(identity)
        header = (b"x-request-id", identity.encode("ascii"))
        status, size = CLIENT_GONE, 0

        async def watched(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message.get("headers", ())
                added = (header, NO_SNIFFING, _CLOSE) if self.stopping.begun else (header, NO_SNIFFING)
                message["headers"] = [*headers, *added]
            else:
                size += len(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except ClientDisconnect:
            pass
        except asyncio.CancelledError:
            if not self.stopping.begun or status != CLIENT_GONE:
                raise
            detail = "the service stopped before the answer was ready; ask again"
            await failure(scope["path"], HTTPStatus.SERVICE_UNAVAILABLE, detail)(scope, receive, watched)
        except Exception as error:
            if status != CLIENT_GONE:
                raise  # the answer has begun: all that is left is to close the connection, which the server does
            await unforeseen(scope, error)(scope, receive, watched)
        finally:
            self._note(scope, identity, status, size, time.perf_counter() - started)
            metrics.in_flight -= 1
            request_id.reset(token)

    def _note(self, scope: Scope, identity: str, status: int, size: int, seconds: float) -> None:
        route = scope.get("route")
        template: str = _OTHER if route is None else route.path_format
        model: str = scope["state"].get("model", "") if "state" in scope else ""
        count, durations = self.metrics.request(template, model, status)
        count.inc()
        durations.observe(seconds)
        level = logging.DEBUG if template in _QUIET else logging.INFO
        log_answer(level, Answered(scope["method"], template, status, seconds, model, size, identity, trace_id()))


def _given_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            text: str = value.decode("latin-1")
            return text if len(text) <= _LONGEST_ID and text.isascii() and text.isprintable() else ""
    return ""
