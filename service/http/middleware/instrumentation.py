"""Instrumentation of every request: its id, metrics and access log line, and a 500 for an unhandled exception."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from http import HTTPStatus

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http.cors import CorsHeaders
from service.http.problems import CLIENT_GONE, failure, unforeseen
from service.http.request_log import RequestLog, identify
from service.inference.shedder import Shedder
from service.observability.logs import request_id
from service.observability.metrics import Metrics
from service.shutdown import Stopping

_CLOSE = (b"connection", b"close")
NO_SNIFFING = (b"x-content-type-options", b"nosniff")  # an answer is what its content type says, whatever is in it


class Instrumentation:
    """The outermost ASGI middleware: request ids, metrics, the access log, and unhandled exceptions.

    An answer carries ``X-Request-ID``: the request's own if that is printable ASCII of at most 128 characters, else one
    made here. It also carries ``X-Content-Type-Options``.

    Args:
        app: the rest.
        metrics: where requests are counted.
        stopping: where a stop is announced.
        origins: origins whose pages may read the answers to unhandled exceptions.
        shedder: told how long admitted requests wait, and when they are answered.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        stopping: Stopping,
        origins: Collection[str] = (),
        shedder: Shedder | None = None,
    ) -> None:
        self.app, self.metrics, self.stopping, self.shedder = app, metrics, stopping, shedder
        self._log, self._cors = RequestLog(metrics), CorsHeaders(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and record its status, size and duration."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        metrics = self.metrics
        metrics.in_flight += 1
        state = scope.setdefault("state", {})
        admitted_at = state.get("admitted_at")
        if admitted_at is not None and self.shedder is not None:
            now = time.monotonic()
            self.shedder.began(now - admitted_at, now)
        identity = state["request_id"] = identify(scope["headers"])
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
            stopped = failure(scope["path"], HTTPStatus.SERVICE_UNAVAILABLE, detail)
            await self._readable(stopped, scope)(scope, receive, watched)
        except Exception as error:
            if status != CLIENT_GONE:
                raise  # the answer has begun: all that is left is to close the connection, which the server does
            await self._readable(unforeseen(scope, error), scope)(scope, receive, watched)
        finally:
            status = state.get("refused", status)  # by the server, in place of the application
            self._log.note(scope, identity, status, size, time.perf_counter() - started)
            metrics.in_flight -= 1
            if admitted_at is not None and self.shedder is not None:
                self.shedder.in_progress -= 1
            request_id.reset(token)

    def _readable(self, response: Response, scope: Scope) -> Response:
        self._cors.add_to(response.headers, scope["headers"])
        return response
