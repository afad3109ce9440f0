"""A client's connection: without upgrades, half-closed where the client wants it, and closed without a reset."""

from __future__ import annotations

import select

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

_LINGER_S = 1.0  # for the other side to close as well
_PROBE_AFTER_S = 1.0  # most half-closed clients have their answers by then
_PROBED_S = 0.05  # a reset takes a round trip; one that takes longer is found by those who look again


class Connection(HttpToolsProtocol):
    """uvicorn's HTTP protocol that ignores upgrades, answers half-closed clients and closes without a reset."""

    _is_left = False
    _is_half_closed = False  # by the client, which waits for its answers or has gone

    def data_received(self, data: bytes) -> None:
        """Parse received data, unless this side of the connection is closed.

        The parser stops at a request that asks for an upgrade (h2c, websocket). The upgrade is ignored, as RFC 9110
        section 7.8 allows: the request's head is parsed again without it, and then what follows.
        """
        if self._is_left:
            return
        self._unset_keepalive_if_required()
        rest = memoryview(data)
        try:
            while True:
                try:
                    self.parser.feed_data(rest)
                    return
                except httptools.HttpParserUpgrade as upgrade:
                    rest = rest[upgrade.args[0] :]
                    self._parse_head_again()
        except httptools.HttpParserError:
            self.send_400_response("an HTTP request was needed; something else came")

    def _parse_head_again(self) -> None:
        method = self.parser.get_method()
        if method == b"CONNECT":
            raise httptools.HttpParserError("a tunnel is no upgrade that can be ignored")
        lines = [b"%b %b HTTP/%b" % (method, self.url, self.parser.get_http_version().encode())]
        lines += [b"%b: %b" % field for field in self.headers if field[0] not in (b"upgrade", b"http2-settings")]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
        self.parser.feed_data(b"\r\n".join([*lines, b"", b""]))

    def on_headers_complete(self) -> None:
        """Hand the request to the application, unless its head is going to be parsed again without its upgrade."""
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note the end of a request; of one with an upgrade the parser sees it before its body."""
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep a connection open for the answers to whole requests, where the client has closed its side of it."""
        newest = self.newest()
        if newest is None or newest.response_complete or newest.more_body:
            return False
        newest.keep_alive = False
        self._is_half_closed = True
        self.loop.call_later(_PROBE_AFTER_S, self._probe, newest)
        return True

    def _probe(self, newest: RequestResponseCycle) -> None:
        """Send an interim response to a half-closed client that still waits.

        TCP tells a client that waits from one that has gone only by the answer to what is sent. HTTP/1.1 lets a client
        ignore interim responses; the system of one that has gone resets the connection.
        """
        waits = not (self.transport.is_closing() or self.pipeline or newest.response_started)
        if waits and newest.scope["http_version"] != "1.0":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.loop.call_later(_PROBED_S, self.abort_if_gone)

    def abort_if_gone(self) -> None:
        """End a half-closed connection whose client has closed the other side, too."""
        if not self._is_half_closed or self.transport.is_closing() or not hasattr(select, "poll"):  # not on Windows
            return
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket").fileno(), 0)  # hang-ups are reported unasked
        if poll.poll(0):
            self.transport.abort()

    def newest(self) -> RequestResponseCycle | None:
        """Return the request whose head came last, and its answer; None before the first."""
        return self.cycle  # None until the first request, whatever its type says

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
