"""An answer that was made in another process: sent in pieces from where it lies, and counted until it is gone."""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.memory_budget import MemoryBudget

_PIECE = 2**18  # bytes


class LargeAnswer(Response):
    """An answer that is never built twice.

    Args:
        content: the body.
        media_type: what it is.
        memory: counts its bytes while they are sent.
    """

    def __init__(self, content: bytes | memoryview, media_type: str, memory: MemoryBudget) -> None:
        super().__init__(media_type=media_type)
        self._content, self._memory = content, memory
        self.headers["content-length"] = str(len(content))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head and the body; each piece waits until the client has taken most of what came before."""
        content = memoryview(self._content)
        self._memory.hold(len(content))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            for start in range(0, len(content), _PIECE):
                piece = bytes(content[start : start + _PIECE])
                more = start + _PIECE < len(content)
                await send({"type": "http.response.body", "body": piece, "more_body": more})
        finally:
            self._memory.give(len(content))
