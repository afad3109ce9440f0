"""A limit on the size of request bodies, and the refusal of compressed ones."""

from __future__ import annotations

import asyncio
import contextlib
from http import HTTPStatus

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scs.errors import TooLargeError
from service.http.problems import failure, is_protocols, status_of

_LINGER_S = 1.0
_PIECE = 64 * 1024


class BodyLimit:
    """ASGI middleware that refuses a body of more than ``most`` bytes, or one that is compressed.

    A declared length is refused before a byte is read; an undeclared one as soon as it has gone over. Routes of the
    inference protocol expand compressed bodies themselves.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app, self.most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with a limit on its body, or refuse it by its headers."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is None:
            await self.app(scope, _LimitedBody(receive, self.most), send)
        else:
            await refuse(refusal, scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        length, encoding = b"", b""
        for name, value in scope["headers"]:
            if name == b"content-length":
                length = value
            elif name == b"content-encoding":
                encoding = value
        if length.isdigit() and int(length) > self.most:
            error = _too_large(self.most, int(length))
            return failure(scope["path"], status_of(error), str(error))
        if encoding and encoding.lower() != b"identity" and not is_protocols(scope["path"]):
            return _compressed(scope["path"], encoding)
        return None


class _LimitedBody:
    """The ``receive`` of a request: counts its body, and hands small pieces on in large ones.

    A list of small pieces takes many times the memory of the body itself.
    """

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive, self._most, self._arrived = receive, most, 0

    async def __call__(self) -> Message:
        """The next piece of the body, or the client's disconnection.

        Raises:
            TooLargeError: the body has gone over the limit.
        """
        message = await self._next()
        if message.get("more_body"):
            message = await self._joined(message)
        if self._arrived > self._most:
            raise _too_large(self._most, self._arrived)
        return message

    async def _next(self) -> Message:
        message = await self._receive()
        self._arrived += len(message.get("body", b""))
        return message

    async def _joined(self, message: Message) -> Message:
        pieces = bytearray(message.get("body", b""))
        while message.get("more_body") and len(pieces) < _PIECE and self._arrived <= self._most:
            message = await self._next()
            pieces += message.get("body", b"")
        if message["type"] == "http.request":
            message["body"] = bytes(pieces)
        return message


def _too_large(most: int, came: int) -> TooLargeError:
    return TooLargeError(f"a body may have {most} bytes; at least {came} came")


def _compressed(path: str, encoding: bytes) -> Response:
    detail = f"a body is sent as it is; one with content-encoding {encoding.decode('latin-1')[:60]!r} came"
    response = failure(path, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail)
    response.headers["accept-encoding"] = "identity"
    return response


async def refuse(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Send an answer before the body has come, and close the connection.

    What is still on its way is read for a second and thrown away: a connection that is closed while a client is
    still sending takes the answer with it.
    """
    response.headers["connection"] = "close"

    async def unfinished(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "more_body": True}
        await send(message)

    await response(scope, receive, unfinished)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_S):
            while (await receive()).get("more_body"):
                pass
    await send({"type": "http.response.body", "body": b"", "more_body": False})
