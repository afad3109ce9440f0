"""Cancellation of the work for a request when its client disconnects."""

from __future__ import annotations

import asyncio
from types import TracebackType

from starlette.requests import Request

from scs.errors import ClientGoneError

_PATIENCE_S = 0.1  # most answers are there before it is worth asking whether somebody waits for them


class cancel_on_disconnect:  # noqa: N801 - reads as what it does, like contextlib.suppress
    """A context manager that cancels the work for a request when its client disconnects.

    The request's body needs to have been read.

    Raises:
        ClientGoneError: on leaving the context, where the client has gone.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._gone = False
        self._watcher: asyncio.Task[None] | None = None

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        self._start = asyncio.get_running_loop().call_later(_PATIENCE_S, self._begin)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._start.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
        if self._gone and self._task is not None and self._task.uncancel() == 0:
            raise ClientGoneError("the client has gone") from None

    def _begin(self) -> None:
        self._watcher = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        if self._task is not None:
            self._task.cancel()
