"""Cross-origin requests (CORS): which pages of other origins may send requests and read the answers."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Receive, Scope, Send

_OPTIONS: dict[str, Any] = {
    "allow_methods": ("GET", "HEAD", "POST"),
    "allow_headers": (
        "Authorization",
        "X-API-Key",
        "X-Request-ID",
        "Content-Encoding",
        "Inference-Header-Content-Length",
        "traceparent",
        "tracestate",
    ),
    "expose_headers": ("X-Request-ID", "Retry-After", "Inference-Header-Content-Length"),
}


def cors_options(origins: Collection[str]) -> dict[str, Any]:
    """Return the options of starlette's CORS middleware for these origins."""
    return {"allow_origins": origins, **_OPTIONS}


class CorsHeaders:
    """The CORS headers of answers that starlette's middleware does not see."""

    def __init__(self, origins: Collection[str]) -> None:
        self._cors = CORSMiddleware(_nothing, **cors_options(origins)) if origins else None

    def add_to(self, answer: MutableHeaders, request: Collection[tuple[bytes, bytes]]) -> None:
        """Let the page that asked read an answer, if its origin is allowed."""
        if self._cors is None:
            return
        given = next((value.decode("latin-1") for name, value in request if name == b"origin"), None)
        if given is None or not self._cors.is_allowed_origin(given):
            answer.add_vary_header("Origin")
            return
        answer.update(self._cors.simple_headers)
        if not self._cors.allow_all_origins:
            self._cors.allow_explicit_origin(answer, given)


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """Stand where the middleware wants an application; it is asked for headers only."""
