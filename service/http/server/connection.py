"""A client's connection that can be closed without a reset."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_LINGER_S = 1.0  # for the other side to close as well


class Connection(HttpToolsProtocol):
    """uvicorn's HTTP protocol with what a graceful shutdown needs: to find and close idle connections."""

    _is_left = False

    def data_received(self, data: bytes) -> None:
        """Handle received data, unless this side of the connection is closed."""
        if not self._is_left:
            super().data_received(data)

    def is_idle(self) -> bool:
        """Return whether no request, whole or in part, waits for an answer."""
        if self._is_left or self.pipeline:
            return False
        if self.cycle is None:
            return self.scope is None
        return self.cycle.response_complete and self.scope is self.cycle.scope

    def leave(self) -> None:
        """Close this side of the connection, and wait a second for the client to close the other.

        Closing at once would answer a request that is on its way with a reset, and a reset may take with it an answer
        that the client has not read yet. The end of the stream does neither.
        """
        self._is_left = True
        self._unset_keepalive_if_required()
        self.transport.write_eof()
        self.loop.call_later(_LINGER_S, self.transport.close)
