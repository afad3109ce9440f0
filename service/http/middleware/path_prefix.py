"""A path prefix, below which a proxy shows the service: taken off requests, and put into links."""

from __future__ import annotations

import re

from starlette.types import ASGIApp, Receive, Scope, Send

from service.settings import ROOT_PATH

_LONGEST = 256


class PathPrefix:
    """ASGI middleware that takes the prefix off a path, where a proxy has not, and notes it for links (``root_path``).

    Args:
        app: the rest, which sees paths without the prefix.
        prefix: like ``/vision/scs``.
    """

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self.app, self.prefix = app, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on without its prefix."""
        if scope["type"] == "http":
            path, prefix = scope["path"], self.prefix
            if path == prefix or path.startswith(f"{prefix}/"):
                scope["path"] = path[len(prefix) :] or "/"
            scope["root_path"] = prefix
        await self.app(scope, receive, send)


class RestorePathPrefix:
    """ASGI middleware that puts the prefix back, as frameworks look for it in the path; innermost.

    Without a prefix that is set, one that the request names by ``X-Forwarded-Prefix`` goes into links. It is never
    taken off a path: a client could get past a proxy's rules about paths.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its prefix; whoever sees it afterwards does so without."""
        prefix = (scope.get("root_path") or _forwarded(scope)) if scope["type"] == "http" else ""
        if not prefix:
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        scope["root_path"], scope["path"] = prefix, prefix + path
        try:
            await self.app(scope, receive, send)
        finally:
            scope["path"] = path


def _forwarded(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-forwarded-prefix":
            prefix: str = value.decode("latin-1").rstrip("/")
            return prefix if len(prefix) <= _LONGEST and re.fullmatch(ROOT_PATH, prefix) else ""
    return ""
