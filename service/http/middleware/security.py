"""Access control: the API key, and cross-origin requests (CORS)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Iterator
from http import HTTPStatus

from pydantic import SecretStr
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api_key import is_allowed
from service.http.cors import cors_options
from service.http.middleware.body_limit import refuse
from service.http.problems import failure

HEALTH = "/v2/health/"
EXPLORER = "/explorer/"
_REALM = 'realm="scs-serve"'
_READING = ("GET", "HEAD")


class ApiKey:
    """ASGI middleware that answers 401 to requests without the API key, except below ``/v2/health/``.

    The explorer's page and its files are shown to everybody as well: nothing of the models is in them, and the page is
    where a key can be entered.

    The key is taken from ``Authorization: Bearer``, from ``X-API-Key``, and where something is only read also as the
    password of ``Authorization: Basic``, which is what a browser can ask its user for. Not where something is done:
    a browser adds such a password by itself, also to what the page of a stranger makes it send.
    """

    def __init__(self, app: ASGIApp, key: SecretStr) -> None:
        self.app, self.key = app, key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it before its body is read."""
        if scope["type"] == "lifespan" or _is_open(scope):
            await self.app(scope, receive, send)
            return
        reads = scope.get("method") in _READING
        came = False
        for given in _keys(scope["headers"], passwords=reads):
            if is_allowed(given, self.key):
                await self.app(scope, receive, send)
                return
            came = True
        needed = "a key is needed, as 'Authorization: Bearer …' or as 'X-API-Key: …'"
        response = failure(
            scope["path"], HTTPStatus.UNAUTHORIZED, f"{needed}; {'another one' if came else 'none'} came"
        )
        response.headers["www-authenticate"] = f"Bearer {_REALM}, Basic {_REALM}" if reads else f"Bearer {_REALM}"
        if reads:
            await response(scope, receive, send)
        else:
            await refuse(response, scope, receive, send)


def allow_origins(origins: Collection[str]) -> Middleware:
    """Return the middleware that lets pages of other origins send requests and read the answers (CORS)."""
    return Middleware(CORSMiddleware, **cors_options(origins))


def _is_open(scope: Scope) -> bool:
    path, reads = scope["path"], scope.get("method") in _READING
    return path.startswith(HEALTH) or (reads and (path == "/" or path.startswith(EXPLORER)))


def _keys(headers: list[tuple[bytes, bytes]], passwords: bool) -> Iterator[str]:
    for name, value in headers:
        if name == b"x-api-key":
            yield value.decode("latin-1")
        elif name == b"authorization":
            scheme, _, rest = value.decode("latin-1").partition(" ")
            if scheme.lower() == "bearer":
                yield rest.strip()
            elif passwords and scheme.lower() == "basic":
                yield _password(rest)


def _password(credentials: str) -> str:
    try:
        return base64.b64decode(credentials, validate=True).decode("latin-1").partition(":")[2]
    except (ValueError, binascii.Error):
        return ""
