"""Limits against slow clients (slowloris) and large heads, before a request reaches the application."""

from __future__ import annotations

import array
import asyncio
import contextlib
import logging
import random
import time
from http import HTTPStatus
from typing import Any, ClassVar, cast

import httptools
from fastapi.responses import JSONResponse
from starlette.types import Scope
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from service.http.problems import failure, problem
from service.http.server.connection import Connection
from service.http.server.early_answers import EarlyAnswers
from service.inference.shedder import Shedder
from service.observability.metrics import Metrics

try:
    import fcntl
    import resource
    import termios
except ImportError:  # not on Windows
    fcntl = resource = termios = None  # type: ignore[assignment]

MAX_HEAD_BYTES = 32 * 1024
MAX_HEADERS = 128
MAX_URL_BYTES = 8 * 1024
HEAD_TIMEOUT_S = 10.0
LEAST_BYTES_PER_S = 16 * 1024
MAX_OPEN_FILES = 65_536
_LINGER_S = 1.0  # closing at once, while the client still sends, would reset the connection and lose the answer
_SWEEP_S = 0.5
_OTHER_FILES = 128  # files of the process that are not connections

_log = logging.getLogger(__name__)


class GuardedProtocol(Connection):
    """uvicorn's HTTP protocol with limits on heads, bodies and connections; made by :func:`protocol_for`.

    A head is refused with 431 over 32 KiB or 128 fields, with 414 over 8 KiB of address; a connection that has not sent
    one after ten seconds is closed. A body is refused with 408 once it has taken longer than its time, which grows by a
    second for each 16 KiB that has come. The fields behind a chunked body (trailers) have the limits of a head, and are
    thrown away. An answer of which the client takes nothing for too long is thrown away with its connection. No request
    has a timer of its own: all connections are looked at twice a second.
    """

    head_timeout_s: ClassVar[float]
    body_timeout_s: ClassVar[float]
    send_timeout_s: ClassVar[float]
    early_answers: ClassVar[EarlyAnswers]
    most_connections: ClassVar[int]
    sweep: ClassVar[asyncio.TimerHandle | None] = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock of a request's head; over the limit of connections, close the longest silent one."""
        super().connection_made(transport)
        self._in_head, self._head_bytes, self._body_bytes, self._framing_bytes = True, 0, 0, 0
        self._is_deaf = self._is_closing = self._is_shed = False
        self._refusal: JSONResponse | None = None
        self._admitted_by: Shedder | None = None  # until all of what has just arrived is parsed
        self._since = self._taken_at = time.monotonic()
        self._unsent = 0  # bytes of answers that the client had not taken when it was last looked at
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
            self._framing_bytes += len(data)
        super().data_received(data)
        self._admitted_by = None
        if self._is_deaf:
            return
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(_head_too_large(f"more than {MAX_HEAD_BYTES} bytes"))
        elif not self._in_head and (self._framing_bytes > MAX_HEAD_BYTES or self._trailers_are_too_large()):
            self._refuse(_trailers_too_large())

    def on_headers_complete(self) -> None:
        """Hand the request to the application, if its head is within limits."""
        if self.parser.should_upgrade():
            return  # this head is going to be parsed again
        # The count may include the beginning of the body, so over the limit the exact size of the head is computed.
        if len(self.url) > MAX_URL_BYTES:
            self._refusal = problem(
                HTTPStatus.REQUEST_URI_TOO_LONG,
                f"an address may have {MAX_URL_BYTES} bytes; {len(self.url)} came; pictures go into the body",
            )
        elif len(self.headers) > MAX_HEADERS:
            self._refusal = _head_too_large(f"{len(self.headers)} fields")
        elif self._head_bytes > MAX_HEAD_BYTES:
            size = _size(self.headers)
            if size > MAX_HEAD_BYTES:
                self._refusal = _head_too_large(f"{size} bytes")
        if self._refusal is not None:
            self.scope["method"] = self.parser.get_method().decode()
            raise ValueError("the head is over a limit")  # stops the parser, and uvicorn then calls `send_400_response`
        self._in_head, self._head_bytes, self._body_bytes, self._framing_bytes = False, 0, 0, 0
        self._since = time.monotonic()
        if not self.url.startswith(b"/"):
            self._take_host_of_target()
        shedder = self.early_answers.shedder if self._may_be_shed() else None
        if shedder is not None and not shedder.admits(self._since):
            self._shed(shedder)
            return
        super().on_headers_complete()
        self._admitted_by = shedder
        self.headers = []  # what the parser adds to these from now on are trailers, and no headers of the request

    def _may_be_shed(self) -> bool:
        """Return whether this is a request for a network's run that can be answered before it is read."""
        if self.parser.get_method() != b"POST" or self._is_answering() or self.pipeline:
            return False
        path = self.url.partition(b"?")[0]
        if not path.endswith((b"/predict", b"/infer")):
            return False
        return not any(name in (b"expect", b"origin") for name, _ in self.headers)

    def _shed(self, shedder: Shedder) -> None:
        """Refuse a request without a task for it, and do not read the next of this connection for some seconds.

        Whoever asks again at once, as often as it is refused, would otherwise take all time for refusals.
        """
        self._is_shed = True
        self.transport.write(self.early_answers.shed(self.url, self.headers, shedder.pause_s))
        self.headers = []

    def _end_shed(self) -> None:
        """Note the end of a request that was refused."""
        newest = self.newest()
        self._is_shed, self._in_head = False, True
        self.scope = None if newest is None else newest.scope  # type: ignore[assignment]
        if not self.parser.should_keep_alive():
            self.transport.close()
            return
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)
        self.flow.pause_reading()
        self._rest(0.0, 0.5 + random.random())  # so that not all come back at once

    def _rest(self, rested_s: float, pace: float) -> None:
        """Read again once this connection has rested; how long that is may change meanwhile."""
        shedder = self.early_answers.shedder
        if self.transport.is_closing():
            return
        if shedder is None or (rested_s and shedder.has_rested(rested_s / pace)):
            self.flow.resume_reading()
        else:
            self.loop.call_later(pace, self._rest, rested_s + pace, pace)

    def _take_host_of_target(self) -> None:
        """Put the host of a target like ``http://host/path`` in the place of ``Host`` (RFC 9112 section 3.2.2)."""
        target = httptools.parse_url(self.url)
        places = [place for place, (name, _) in enumerate(self.headers) if name == b"host"]
        if not target.host or len(places) > 1:
            return
        host = b"[%b]" % target.host if b":" in target.host else target.host
        for place in places:
            del self.headers[place]
        self.headers.append((b"host", b"%b:%d" % (host, target.port) if target.port else host))

    def on_body(self, body: bytes) -> None:
        """Hand on a piece of a body, as uvicorn does it for requests without an upgrade; there may be millions."""
        self._framing_bytes = 0
        if self._is_shed:
            return
        cycle = self.cycle
        if cycle.response_complete:
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        if not cycle.message_event.is_set():
            cycle.message_event.set()

    def on_message_complete(self) -> None:
        """Note that the next bytes belong to a new head."""
        if self.parser.should_upgrade():
            return
        if self.headers and self._trailers_are_too_large():
            self._refusal = _trailers_too_large()
            raise ValueError("the trailers are over a limit")
        if self._is_shed:
            self._end_shed()
            return
        if self._admitted_by is not None:  # it came whole, so that from now on it waits for this service alone
            self._admitted_by.in_progress += 1
            self.scope["state"]["admitted_at"] = self._since
        self._in_head = True
        super().on_message_complete()

    def _trailers_are_too_large(self) -> bool:
        return len(self.headers) > MAX_HEADERS or _size(self.headers) > MAX_HEAD_BYTES

    def on_response_complete(self) -> None:
        """Restart the clock, now that the response is complete; close if a request behind it was refused."""
        self._since = time.monotonic()
        super().on_response_complete()
        if self._is_deaf and self.timeout_keep_alive_task is not None:
            self.transport.close()

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
        if running and self.pipeline:
            self.pipeline.popleft()  # others are answered before it; `on_response_complete` then closes
            return
        if running:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        elif not self._in_head:
            self.transport.close()  # the request has its answer; another would be taken for that of the next one
            return
        scope = self._refused_scope(running)
        self.early_answers.complete(response, scope, time.monotonic() - self._since)
        self._is_closing, self._since = True, time.monotonic()
        fields = [name + b": " + value + b"\r\n" for name, value in response.raw_headers]
        head = [STATUS_LINE[response.status_code], *fields, b"connection: close\r\n\r\n"]
        body = b"" if scope.get("method") == "HEAD" else bytes(response.body)
        self.transport.write(b"".join([*head, body]))

    def _refused_scope(self, running: bool) -> Scope:
        """Return the scope of the request that is refused, as far as it could be parsed."""
        scope: Any = self.scope
        newest = self.newest()
        if scope is None or (not running and newest is not None and scope is newest.scope):
            return {"type": "http", "headers": [], "state": {}}  # not even its first line came
        return cast(Scope, scope)

    def _is_answering(self) -> bool:
        newest = self.newest()
        return newest is not None and not newest.response_complete

    def _sweep(self) -> None:
        type(self).sweep = self.loop.call_later(_SWEEP_S, self._sweep) if self.connections else None
        now = time.monotonic()
        for connection in list(self.connections):
            if isinstance(connection, GuardedProtocol):
                connection._look(now)

    def _look(self, now: float) -> None:
        """Check the timeouts of one connection; refuse or close it if its client is too slow."""
        waited = now - self._since
        if self._is_unread(now):
            _log.info("an answer was given up: its client took nothing of it for %g seconds", self.send_timeout_s)
            self.transport.abort()
            return
        self.abort_if_gone()
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

    def _is_unread(self, now: float) -> bool:
        """Return whether the client has taken nothing for too long of what was written to it."""
        unsent = self.transport.get_write_buffer_size()
        if unsent:
            unsent += _unacknowledged(self.transport.get_extra_info("socket").fileno())
        if unsent == 0 or unsent < self._unsent:
            self._taken_at = now
        self._unsent = unsent
        return now - self._taken_at > self.send_timeout_s

    def _make_room(self) -> None:
        """Close the connection that has been silent for longest, for a new one."""
        silent: list[GuardedProtocol] = [
            each
            for each in self.connections
            if isinstance(each, GuardedProtocol) and each._in_head and not each._is_answering() and each is not self
        ]
        if silent:
            min(silent, key=lambda each: each._since).transport.close()


def protocol_for(
    body_timeout_s: float, send_timeout_s: float = 30.0, early_answers: EarlyAnswers | None = None
) -> type[Connection]:
    """Make the protocol class of one server, for ``uvicorn.Config(http=…)``.

    Args:
        body_timeout_s: seconds that a body may take, before the second that each 16 KiB of it adds.
        send_timeout_s: seconds for which a client may take nothing of its answer.
        early_answers: completes and counts the answers of this protocol; counted nowhere unless given.
    """
    limits: dict[str, Any] = {
        "body_timeout_s": body_timeout_s,
        "send_timeout_s": send_timeout_s,
        "early_answers": early_answers or EarlyAnswers(Metrics(), ()),
        "head_timeout_s": min(HEAD_TIMEOUT_S, body_timeout_s),
        "most_connections": _most_open_files() - _OTHER_FILES,
    }
    return type("LimitedProtocol", (GuardedProtocol,), limits)


def _unacknowledged(file: int) -> int:
    """Return the bytes in the system's buffer of a socket; it holds megabytes, and is refilled in large steps."""
    if fcntl is None:
        return 0
    waiting = array.array("i", [0])
    with contextlib.suppress(OSError):  # closed by now, or of a kind that does not say
        fcntl.ioctl(file, termios.TIOCOUTQ, waiting)
    return waiting[0]


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


def _trailers_too_large() -> JSONResponse:
    return problem(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        f"the fields behind a body may have {MAX_HEAD_BYTES} bytes and be {MAX_HEADERS}; more came",
    )


def _size(fields: list[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) + 4 for name, value in fields)
