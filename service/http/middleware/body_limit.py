"""A limit on the size of request bodies, and the refusal of compressed ones."""

from __future__ import annotations

import asyncio
import contextlib
import time
from http import HTTPStatus
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scs.errors import BusyError, TooLargeError
from service.http.problems import failure, is_protocols, status_of
from service.memory_budget import MemoryBudget

_LINGER_S = 1.0
_PIECE = 64 * 1024
_COPIES = 3  # of a body: as it came, as files, and on its way to a worker
_PATIENCE_S = 1.0  # before a body counts as slow


class BodyLimit:
    """ASGI middleware that refuses a body of more than ``most`` bytes, or one that is compressed.

    A declared length is refused before a byte is read; an undeclared one as soon as it has gone over. Routes of the
    inference protocol expand compressed bodies themselves. What has come counts against the budget of memory until
    its request is answered. Where that is short, the slowest of the bodies that still arrive makes way.
    """

    def __init__(self, app: ASGIApp, most: int, memory: MemoryBudget) -> None:
        self.app, self.most, self.memory = app, most, memory
        self._arriving: set[_LimitedBody] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with a limit on its body, or refuse it by its headers."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await refuse(refusal, scope, receive, send)
            return
        body = _LimitedBody(receive, self.most, self.memory, self._arriving)
        try:
            await self.app(scope, body, send)
        except asyncio.CancelledError:
            if not body.made_way():
                raise
            await refuse(_made_way(scope["path"]), scope, receive, send)
        finally:
            body.forget()

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

    def __init__(self, receive: Receive, most: int, memory: MemoryBudget, arriving: set[_LimitedBody]) -> None:
        self._receive, self._most, self._arrived = receive, most, 0
        self._memory, self._arriving = memory, arriving
        self._task: asyncio.Task[Any] | None = None
        self._since = 0.0
        self._has_made_way = False

    async def __call__(self) -> Message:
        """The next piece of the body, or the client's disconnection.

        Raises:
            TooLargeError: the body has gone over the limit.
            BusyError: there is no memory left for it.
        """
        message = await self._receive()
        if count := len(message.get("body", b"")):
            self._count(count)
        if message.get("more_body"):
            self._arrives()
            message = await self._joined(message)
            if not message.get("more_body"):
                self._arriving.discard(self)
        if self._arrived > self._most:
            raise _too_large(self._most, self._arrived)
        return message

    def make_way(self) -> None:
        """Give up the request, whose body arrives more slowly than others."""
        self._has_made_way = True
        self._arriving.discard(self)
        if self._task is not None:
            self._task.cancel()

    def made_way(self) -> bool:
        """Return whether the cancellation of this request's task is by :meth:`make_way` alone, and undo it."""
        return self._has_made_way and self._task is not None and self._task.uncancel() == 0

    def forget(self) -> None:
        """Give back the memory."""
        if self._task is not None:
            self._arriving.discard(self)
        self._memory.give(_COPIES * self._arrived)
        self._arrived = 0

    def rate(self, now: float) -> float:
        """Return the bytes a second that have arrived until now."""
        return self._arrived / max(now - self._since, _PATIENCE_S)

    def _arrives(self) -> None:
        """Note that more is going to come, from now on if nothing has come before."""
        if self._task is None:
            self._task, self._since = asyncio.current_task(), time.monotonic()
        self._arriving.add(self)

    def _count(self, count: int) -> None:
        needed = _COPIES * count
        while self._memory.taken + needed > self._memory.total:
            now = time.monotonic()
            slowest = min(self._arriving, key=lambda body: body.rate(now), default=self)
            if slowest is self or slowest.rate(now) >= self.rate(now):
                self._memory.take(needed, "the bodies of requests")  # raises
            slowest.make_way()
            slowest.forget()
        self._memory.hold(needed)
        self._arrived += count

    async def _joined(self, message: Message) -> Message:
        pieces = bytearray(message.get("body", b""))
        while message.get("more_body") and len(pieces) < _PIECE and self._arrived <= self._most:
            message = await self._receive()
            piece = message.get("body", b"")
            self._count(len(piece))
            pieces += piece
        if message["type"] == "http.request":
            message["body"] = bytes(pieces)
        return message


def _made_way(path: str) -> Response:
    error = BusyError("memory is short, and of all requests that are arriving this is the slowest; ask again soon")
    response = failure(path, status_of(error), str(error))
    response.headers["retry-after"] = str(error.retry_after_s)
    return response


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
