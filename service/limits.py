"""A limit on the size of request bodies, kept while they arrive and not after."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scs.errors import TooLargeError
from service.problems import failure, status_of


class BodyLimit:
    """ASGI middleware that refuses a body of more than ``most`` bytes.

    A declared length is refused before a byte is read; an undeclared one as soon as it has gone over.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app, self.most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, counting what arrives."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"")
        if declared.isdigit() and int(declared) > self.most:
            error = self._error(int(declared))
            response = failure(scope["path"], status_of(error), str(error))
            response.headers["connection"] = "close"
            await response(scope, receive, send)
            return
        arrived = 0

        async def counted() -> Message:
            nonlocal arrived
            message = await receive()
            arrived += len(message.get("body", b""))
            if arrived > self.most:
                raise self._error(arrived)
            return message

        await self.app(scope, counted, send)

    def _error(self, came: int) -> TooLargeError:
        return TooLargeError(f"a body may have {self.most} bytes; at least {came} came")
