"""What a request may bring, seen before and while its body arrives."""

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

    A declared length is refused before a byte is read; an undeclared one as soon as it has gone over. A body in many
    small pieces is handed on in large ones, since a list of them takes many times their size. Routes of the inference
    protocol expand compressed bodies themselves.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app, self.most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, counting what arrives."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length, encoding = b"", b""
        for name, value in scope["headers"]:
            if name == b"content-length":
                length = value
            elif name == b"content-encoding":
                encoding = value
        if length.isdigit() and int(length) > self.most:
            error = self._error(int(length))
            await refuse(failure(scope["path"], status_of(error), str(error)), scope, receive, send)
            return
        if encoding and encoding.lower() != b"identity" and not is_protocols(scope["path"]):
            detail = f"a body is sent as it is; one with content-encoding {encoding.decode('latin-1')[:60]!r} came"
            response = failure(scope["path"], HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail)
            response.headers["accept-encoding"] = "identity"
            await refuse(response, scope, receive, send)
            return
        arrived = 0

        async def counted() -> Message:
            nonlocal arrived
            message = await receive()
            arrived += len(message.get("body", b""))
            if message.get("more_body"):
                pieces = bytearray(message.get("body", b""))
                while message.get("more_body") and len(pieces) < _PIECE and arrived <= self.most:
                    message = await receive()
                    piece = message.get("body", b"")
                    pieces += piece
                    arrived += len(piece)
                if message["type"] == "http.request":
                    message["body"] = bytes(pieces)
            if arrived > self.most:
                raise self._error(arrived)
            return message

        await self.app(scope, counted, send)

    def _error(self, came: int) -> TooLargeError:
        return TooLargeError(f"a body may have {self.most} bytes; at least {came} came")


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
