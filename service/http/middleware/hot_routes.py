"""A fast path for the busiest routes, which skips FastAPI's own handling of a route."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.routing import BaseRoute, Router
from starlette.types import ASGIApp, ExceptionHandler, Receive, Scope, Send


class HotRoutes:
    """ASGI middleware that answers some routes by a plain router, and passes all other requests on.

    FastAPI's way to a route costs more than the run of a small network. The routes are declared there too, which is
    what describes them; here plain Starlette routes call the same functions.

    Args:
        app: answers everything else.
        routes: the routes that are answered here; all of them take POST.
        handlers: answers to exceptions, by their class, as the application has them.
    """

    def __init__(
        self, app: ASGIApp, routes: Sequence[BaseRoute], handlers: Mapping[type[Exception], ExceptionHandler]
    ) -> None:
        self._app = app
        self._answers = ExceptionMiddleware(Router(routes, redirect_slashes=False, default=app), dict(handlers))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        is_post = scope["type"] == "http" and scope["method"] == "POST"
        await (self._answers if is_post else self._app)(scope, receive, send)
