"""Answers that the server gives before a request reaches the application, with what the application's answers have."""

from __future__ import annotations

from collections.abc import Collection

from fastapi.responses import JSONResponse
from starlette.types import Scope

from service.http.cors import CorsHeaders
from service.http.request_log import RequestLog, identify
from service.observability.metrics import Metrics


class EarlyAnswers:
    """Give early answers a request id and CORS headers, and count and log them like others.

    Args:
        metrics: where requests are counted.
        origins: origins whose pages may read answers.
    """

    def __init__(self, metrics: Metrics, origins: Collection[str]) -> None:
        self._log, self._cors = RequestLog(metrics), CorsHeaders(origins)

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
