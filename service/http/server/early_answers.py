"""Answers that the server gives before a request reaches the application, with what the application's answers have."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from functools import cache
from http import HTTPStatus

from fastapi.responses import JSONResponse
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from service.http.cors import CorsHeaders
from service.http.problems import failure
from service.http.request_log import RequestLog, identify
from service.inference.shedder import Shedder
from service.observability.metrics import Metrics

_log = logging.getLogger(__name__)


class EarlyAnswers:
    """Give early answers a request id and CORS headers, and count and log them like others.

    Args:
        metrics: where requests are counted.
        origins: origins whose pages may read answers.
        shedder: says which requests are refused before they are read; none unless given.
    """

    def __init__(self, metrics: Metrics, origins: Collection[str], shedder: Shedder | None = None) -> None:
        self._log, self._cors, self.shedder = RequestLog(metrics), CorsHeaders(origins), shedder
        self._metrics = metrics
        self._told_at = self._untold = 0

    def shed(self, path: bytes, headers: list[tuple[bytes, bytes]], seconds: float) -> bytes:
        """Return the whole answer to a request that is not read, and count it; the log has a line a second for all.

        Args:
            path: of the request.
            headers: of the request.
            seconds: after which it is worth asking again.
        """
        self._metrics.request("other", "", 503)[0].inc()
        self._untold += 1
        second = int(time.monotonic())
        if second != self._told_at:
            _log.warning("overloaded: %d requests were refused before they were read", self._untold)
            self._told_at, self._untold = second, 0
        head, body = _shed(path.startswith(b"/v2/"))
        return b"%bretry-after: %d\r\nx-request-id: %b\r\n\r\n%b" % (head, seconds, identify(headers).encode(), body)

    def complete(self, response: JSONResponse, scope: Scope, seconds: float) -> None:
        """Add the headers, as far as the request could be parsed, and record the answer.

        A request that the application has in hand is recorded there, with the status that its state has as ``refused``.
        """
        state = scope["state"]
        identity = state.get("request_id")
        if identity is None:
            identity = identify(scope["headers"])
            self._log.note(scope, identity, response.status_code, len(response.body), seconds)
        else:
            state["refused"] = response.status_code
        response.headers["x-request-id"] = identity
        response.headers["x-content-type-options"] = "nosniff"
        self._cors.add_to(response.headers, scope["headers"])


@cache
def _shed(is_protocols: bool) -> tuple[bytes, bytes]:
    """Return the head, but for its end, and the body of the answer to a request that is not read."""
    response = failure(
        "/v2/models" if is_protocols else "/predict",
        HTTPStatus.SERVICE_UNAVAILABLE,
        "more is asked than can be answered in time, and this was not read; ask again later",
    )
    response.headers["x-content-type-options"] = "nosniff"
    fields = b"".join(name + b": " + value + b"\r\n" for name, value in response.raw_headers)
    return STATUS_LINE[HTTPStatus.SERVICE_UNAVAILABLE] + fields, bytes(response.body)
