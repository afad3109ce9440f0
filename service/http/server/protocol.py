"""Limits against slow clients (slowloris) and large heads, before a request reaches the application."""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus
from typing import Any, ClassVar

from fastapi.responses import JSONResponse
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from service.http.problems import failure, problem
from service.http.server.connection import Connection

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

MAX_HEAD_BYTES = 32 * 1024
MAX_HEADERS = 128
MAX_URL_BYTES = 8 * 1024
HEAD_TIMEOUT_S = 10.0
LEAST_BYTES_PER_S = 16 * 1024
MAX_OPEN_FILES = 65_536
_LINGER_S = 1.0  # closing at once, while the client still sends, would reset the connection and lose the answer
_SWEEP_S = 0.5
_OTHER_FILES = 128  # files of the process that are not connections


class GuardedProtocol(Connection):
    """uvicorn's HTTP protocol with limits on heads, bodies and connections; made by :func:`protocol_for`.

    A head is refused with 431 over 32 KiB or 128 fields, with 414 over 8 KiB of address; a connection that has not sent
    one after ten seconds is closed. A body is refused with 408 once it has taken longer than its time, which grows by a
    second for each 16 KiB that has come. No request has a timer of its own: all connections are looked at twice a
    second.
    """

    head_timeout_s: ClassVar[float]
    body_timeout_s: ClassVar[float]
    most_connections: ClassVar[int]
    sweep: ClassVar[asyncio.TimerHandle | None] = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock of a request's head; over the limit of connections, close the longest silent one."""
        super().connection_made(transport)
        self._in_head, self._head_bytes, self._body_bytes = True, 0, 0
        self._is_deaf, self._is_closing = False, False
        self._refusal: JSONResponse | None = None
        self._since = time.monotonic()
        if type(self).sweep is None:
            self._sweep()
        if len(self.connections) > self.most_connections:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        """Count and parse received bytes; refuse a head that is too large."""
        if self._is_deaf:
            return
        if self.timeout_keep_alive_task is not None:
            self._since = time.monotonic()
        if self._in_head:
            self._head_bytes += len(data)
        else:
            self._body_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES and not self._is_deaf:
            self._refuse(_head_too_large(f"more than {MAX_HEAD_BYTES} bytes"))

    def on_headers_complete(self) -> None:
        """Hand the request to the application, if its head is within limits."""
        # The count may include the beginning of the body, so over the limit the exact size of the head is computed.
        if len(self.url) > MAX_URL_BYTES:
            self._refusal = problem(
                HTTPStatus.REQUEST_URI_TOO_LONG,
                f"an address may have {MAX_URL_BYTES} bytes; {len(self.url)} came; pictures go into the body",
            )
        elif len(self.headers) > MAX_HEADERS:
            self._refusal = _head_too_large(f"{len(self.headers)} fields")
        elif self._head_bytes > MAX_HEAD_BYTES:
            size = sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > MAX_HEAD_BYTES:
                self._refusal = _head_too_large(f"{size} bytes")
        if self._refusal is not None:
            raise ValueError("the head is over a limit")  # stops the parser, and uvicorn then calls `send_400_response`
        self._in_head, self._head_bytes, self._body_bytes = False, 0, 0
        self._since = time.monotonic()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that the next bytes belong to a new head."""
        self._in_head = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Restart the clock, now that the response is complete."""
        self._since = time.monotonic()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse a request that cannot be parsed, or that went over a limit while it was parsed."""
        self._refuse(
            self._refusal or problem(HTTPStatus.BAD_REQUEST, "an HTTP request was needed; something else came")
        )

    def _refuse(self, response: JSONResponse) -> None:
        """Answer in place of the application, and close the connection once the client has had time to read that."""
        self._is_deaf = True
        if self.transport.is_closing():
            return
        running = self._is_answering()
        if running and (self._in_head or self.cycle.response_started):
            self.cycle.keep_alive = False  # what is being answered is another request than the one refused
            return
        if running:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._is_closing, self._since = True, time.monotonic()
        fields = [name + b": " + value + b"\r\n" for name, value in response.raw_headers]
        head = [STATUS_LINE[response.status_code], *fields, b"connection: close\r\n\r\n"]
        self.transport.write(b"".join([*head, bytes(response.body)]))

    def _is_answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # None until the first request, whatever its type says
        return cycle is not None and not cycle.response_complete

    def _sweep(self) -> None:
        type(self).sweep = self.loop.call_later(_SWEEP_S, self._sweep) if self.connections else None
        now = time.monotonic()
        for connection in list(self.connections):
            if isinstance(connection, GuardedProtocol):
                connection._look(now)

    def _look(self, now: float) -> None:
        """Check the timeouts of one connection; refuse or close it if its client is too slow."""
        waited = now - self._since
        if self._is_closing:
            if waited > _LINGER_S:
                self.transport.close()
        elif self.timeout_keep_alive_task is not None or self.flow.read_paused:
            return  # uvicorn closes idle connections itself; paused reading is backpressure, not a slow client
        elif self._is_answering():
            if not self._in_head and waited > self.body_timeout_s + self._body_bytes / LEAST_BYTES_PER_S:
                self._refuse(
                    failure(
                        self.scope["path"],
                        HTTPStatus.REQUEST_TIMEOUT,
                        f"a body may take {self.body_timeout_s:g} seconds, and one more for each "
                        f"{LEAST_BYTES_PER_S} bytes; {self._body_bytes} bytes came in {waited:.0f} seconds",
                    )
                )
        elif not self._in_head:
            if waited > _LINGER_S:  # answered already, and the body still comes
                self.transport.close()
        elif waited > self.head_timeout_s:
            if self._head_bytes:
                self._refuse(
                    problem(
                        HTTPStatus.REQUEST_TIMEOUT,
                        f"a request's head may take {self.head_timeout_s:g} seconds; after that only a part had come",
                    )
                )
            else:
                self.transport.close()

    def _make_room(self) -> None:
        """Close the connection that has been silent for longest, for a new one."""
        silent: list[GuardedProtocol] = [
            each
            for each in self.connections
            if isinstance(each, GuardedProtocol) and each._in_head and not each._is_answering() and each is not self
        ]
        if silent:
            min(silent, key=lambda each: each._since).transport.close()


def protocol_for(body_timeout_s: float) -> type[Connection]:
    """Make the protocol class of one server, for ``uvicorn.Config(http=…)``.

    Args:
        body_timeout_s: seconds that a body may take, before the second that each 16 KiB of it adds.
    """
    limits: dict[str, Any] = {
        "body_timeout_s": body_timeout_s,
        "head_timeout_s": min(HEAD_TIMEOUT_S, body_timeout_s),
        "most_connections": _most_open_files() - _OTHER_FILES,
    }
    return type("LimitedProtocol", (GuardedProtocol,), limits)


def _most_open_files() -> int:
    """Raise the limit of open files of this process as far as allowed, and return it."""
    if resource is None:
        return MAX_OPEN_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return MAX_OPEN_FILES if soft == resource.RLIM_INFINITY else soft


def _head_too_large(came: str) -> JSONResponse:
    return problem(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        f"a request's head may have {MAX_HEAD_BYTES} bytes and {MAX_HEADERS} fields; {came} came",
    )
