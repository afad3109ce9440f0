"""A real process is told to stop, alone and under load: what it has accepted, it answers."""

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2 as httpx
import pytest
from PIL import Image

from models.cards.catalogue import bundled_repository

SMALL = """
import asyncio, sys, time
import uvicorn
from service.http.server.connection import Connection
from service.observability.logs import configure_logging
from service.observability.metrics import Metrics
from service.http.server.server import Server
from service.shutdown import Stopping
from service.http.middleware.instrumentation import Instrumentation

async def app(scope, receive, send):
    path = scope["path"]
    if path == "/slow":
        await asyncio.sleep(1)
    if path == "/thread":
        await asyncio.to_thread(time.sleep, 60)
    if path == "/block":
        time.sleep(0.5)
    while (await receive()).get("more_body"):
        pass
    body = f"{path} stopping={stopping.begun}".encode()
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})

port, drain_s, grace_s = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
configure_logging("info", "json")
stopping = Stopping()
watched = Instrumentation(app, Metrics(), stopping)
options = {"http": Connection, "ws": "none", "lifespan": "off", "log_config": None, "access_log": False}
config = uvicorn.Config(watched, port=port, **options)
Server(config, stopping, drain_s, grace_s).run()
"""


@dataclass
class Process:
    """A server in a process, and where it listens."""

    process: subprocess.Popen[bytes]
    port: int
    file: Path
    log: list[dict[str, object]] = field(default_factory=list)

    def tell(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def end(self, within_s=30) -> int:
        """Wait for the end, and give its status."""
        status = self.process.wait(within_s)
        self.log = [json.loads(line) for line in self.file.read_text().splitlines()]
        return status

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def has_begun_to_stop(self):
        """Wait until new connections are refused."""
        for _ in range(500):
            try:
                self.connect().close()
            except ConnectionRefusedError:
                return
            time.sleep(0.01)
        raise AssertionError("the port is open still")


@contextmanager
def running(command, port, **variables):
    others = {key: value for key, value in os.environ.items() if not key.startswith("SCS_")}
    with tempfile.NamedTemporaryFile() as log:  # a pipe that nobody reads would fill
        process = subprocess.Popen(command, env={**others, **variables}, stderr=log)
        with _ready(process, port):
            yield Process(process, port, Path(log.name))


@contextmanager
def _ready(process, port):
    try:
        for _ in range(600):
            assert process.poll() is None, "the server stopped by itself"
            try:
                if httpx.get(f"http://127.0.0.1:{port}/v2/health/ready").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        yield
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def small(drain_s=0.0, grace_s=10.0, before=""):
    """A server without models, ready to be told to stop."""
    port = free_port()
    with running([sys.executable, "-c", before + SMALL, str(port), str(drain_s), str(grace_s)], port) as process:
        yield process


def request(path="/", body=b"", length=None, kind="application/octet-stream") -> bytes:
    length = len(body) if length is None else length
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
    return head.encode() + body


def read_answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes] | None:
    """Status, headers and body of an answer; None if the connection ends before it begins."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65536)
        if not piece:
            assert not received, "the answer broke off"
            return None
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    while len(body) < int(headers["content-length"]):
        piece = connection.recv(65536)
        assert piece, "the answer broke off"
        body += piece
    return int(status.split()[1]), headers, body


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_ends_with_status_0_and_closes_idle_connections_cleanly(number):
    with small() as server, server.connect() as unused, server.connect() as used:
        used.sendall(request())
        assert read_answer(used)[0] == 200
        server.tell(number)
        assert used.recv(1) == unused.recv(1) == b""
        assert server.end() == 0


def test_a_request_in_work_is_answered_and_its_connection_closed():
    with small() as server, server.connect() as connection:
        connection.sendall(request("/slow"))
        time.sleep(0.3)
        server.tell()
        status, headers, body = read_answer(connection)
        assert (status, body) == (200, b"/slow stopping=True")
        assert headers["connection"] == "close"
        assert connection.recv(1) == b""
        assert server.end() == 0


def test_a_body_that_is_still_being_sent_is_waited_for():
    with small() as server, server.connect() as connection:
        connection.sendall(request(length=8, body=b"half"))
        time.sleep(0.2)
        server.tell()
        server.has_begun_to_stop()
        connection.sendall(b"half")
        assert read_answer(connection)[0] == 200
        assert server.end() == 0


def test_a_request_whose_first_line_has_begun_to_arrive_is_waited_for():
    with small() as server, server.connect() as connection:
        whole = request()
        connection.sendall(whole[:10])
        time.sleep(0.2)
        server.tell()
        server.has_begun_to_stop()
        time.sleep(0.3)
        connection.sendall(whole[10:])
        assert read_answer(connection)[0] == 200
        assert server.end() == 0


def test_who_was_let_in_by_the_operating_system_is_served_though_the_port_is_closed():
    with small() as server, server.connect() as busy:
        busy.sendall(request("/block"))  # the loop accepts nobody for half a second
        time.sleep(0.1)
        waiting = [server.connect() for _ in range(20)]
        for connection in waiting:
            connection.sendall(request())
        server.tell()
        for connection in (busy, *waiting):
            assert read_answer(connection)[0] == 200
            connection.close()
        assert server.end() == 0


def test_while_it_drains_it_serves_as_before_and_asks_for_connections_to_be_closed():
    with small(drain_s=2) as server, server.connect() as kept:
        server.tell()
        time.sleep(0.3)
        with server.connect() as late:
            for connection in (kept, late):
                connection.sendall(request())
                _, headers, body = read_answer(connection)
                assert (headers["connection"], body) == ("close", b"/ stopping=True")
        assert server.process.poll() is None
        assert server.end() == 0


def test_what_is_not_finished_in_time_gets_a_503_and_is_logged():
    with small(grace_s=0.5) as server, server.connect() as connection, server.connect() as silent:
        silent.sendall(b"POST / HT")
        connection.sendall(request(length=8, body=b"half"))
        time.sleep(0.2)
        server.tell()
        status, headers, body = read_answer(connection)
        assert (status, headers["connection"]) == (503, "close")
        assert headers["x-request-id"]
        assert json.loads(body)["detail"] == "the service stopped before the answer was ready; ask again"
        assert server.end() == 0
        assert any("1 requests were not answered within SCS_GRACE_S=0.5" in line["message"] for line in server.log)


def test_a_thread_that_goes_on_working_does_not_keep_the_process():
    with small(grace_s=0.5) as server, server.connect() as connection:
        connection.sendall(request("/thread"))
        time.sleep(0.3)
        server.tell()
        assert read_answer(connection)[0] == 503
        assert server.end() == 0
        assert any("work unfinished" in line["message"] for line in server.log)


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(second):
    with small() as server, server.connect() as connection:
        connection.sendall(request(length=8, body=b"half"))
        time.sleep(0.2)
        server.tell()
        server.has_begun_to_stop()
        server.tell(second)
        assert server.end(within_s=5) == 128 + second


@dataclass
class Tally:
    """What a client's requests came to."""

    answered: int = 0
    refused: int = 0
    closed: int = 0
    statuses: set[int] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)


def ask_until_refused(server: Process, whole: bytes, tally: Tally):
    """Send one request after another on connections that are kept, as clients do, until there is no port any more."""
    connection = None
    while True:
        try:
            connection = connection or server.connect()
        except ConnectionRefusedError:
            tally.refused += 1
            return
        try:
            connection.sendall(whole)
            answer = read_answer(connection)
        except (OSError, AssertionError) as error:
            tally.failures.append(repr(error))
            return
        if answer is None:
            tally.closed += 1
        else:
            tally.answered += 1
            tally.statuses.add(answer[0])
        if answer is None or answer[1].get("connection") == "close":
            connection.close()
            connection = None


# Moments in which the process is not running: after the last connection that it accepts, and before the port is closed.
HELD_UP = """
import time
import service.http.server.accept_queue as server

def held_up(function):
    def slow(*arguments):
        result = function(*arguments)
        time.sleep(0.02)
        return result
    return slow

server.{name} = held_up(server.{name})
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs an accept queue as Linux has it")
@pytest.mark.parametrize("name", ["_accept_all", "_gets_in"])
def test_nobody_is_let_in_and_then_reset_while_the_port_is_closed(name):
    with small(drain_s=0.3, before=HELD_UP.format(name=name)) as server:
        tallies = [Tally() for _ in range(12)]
        threads = [threading.Thread(target=ask_until_refused, args=(server, request(), tally)) for tally in tallies]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        server.tell()
        for thread in threads:
            thread.join(60)
        assert server.end() == 0
    assert [tally.failures for tally in tallies] == [[]] * 12


NO_WAY_IN = """
import service.http.server.accept_queue

service.http.server.accept_queue._gets_in = lambda own, address: False
"""


def test_a_stop_is_an_ordinary_one_where_the_server_cannot_connect_to_itself():
    with small(before=NO_WAY_IN) as server, server.connect() as connection:
        connection.sendall(request("/slow"))
        time.sleep(0.3)
        server.tell()
        assert read_answer(connection)[0] == 200
        assert server.end() == 0


@pytest.mark.parametrize(
    ("number", "drain_s"), [(signal.SIGTERM, "0"), (signal.SIGTERM, "0.5"), (signal.SIGINT, "0")], ids=str
)
def test_under_load_nothing_that_was_accepted_is_lost(number, drain_s, mnist):
    buffer = io.BytesIO()
    Image.new("L", (28, 28), 200).save(buffer, "PNG")
    whole = request("/predict", buffer.getvalue(), kind="image/png")
    port = free_port()
    command = [sys.executable, "-m", "service.cli", "serve", "--port", str(port)]
    variables = {"SCS_MODEL_REPOSITORY": str(mnist), "SCS_DEFAULT_MODEL": "mnist-conv", "SCS_DRAIN_S": drain_s}
    with running(command, port, **variables) as server:
        tallies = [Tally() for _ in range(12)]
        threads = [threading.Thread(target=ask_until_refused, args=(server, whole, tally)) for tally in tallies]
        for thread in threads:
            thread.start()
        time.sleep(1)
        server.tell(number)
        for thread in threads:
            thread.join(60)
        assert server.end() == 0

    assert [tally.failures for tally in tallies] == [[]] * 12
    assert all(tally.refused == 1 for tally in tallies), "each found the port closed in the end"
    assert set().union(*(tally.statuses for tally in tallies)) == {200}
    answered = sum(tally.answered for tally in tallies)
    lines = [line for line in server.log if line["logger"] == "service.access"]
    assert answered == len(lines) > 12, "what was begun was answered"
    assert {line["status"] for line in lines} == {200}
    assert not [line for line in server.log if line["level"] in ("WARNING", "ERROR")]
    print(f"{answered} answered, {sum(tally.closed for tally in tallies)} closed before they were begun")


@pytest.fixture
def mnist(tmp_path):
    """A repository of one of the bundled models, which is ready soon."""
    shutil.copytree(bundled_repository() / "mnist-conv", tmp_path / "mnist-conv")
    return tmp_path


def test_ready_is_false_as_soon_as_a_stop_was_asked_for(mnist):
    port = free_port()
    command = [sys.executable, "-m", "service.cli", "serve", "--port", str(port)]
    variables = {"SCS_MODEL_REPOSITORY": str(mnist), "SCS_DEFAULT_MODEL": "mnist-conv", "SCS_DRAIN_S": "2"}
    with running(command, port, **variables) as server:
        server.tell()
        time.sleep(0.2)
        url = f"http://127.0.0.1:{port}/v2/health"
        assert httpx.get(f"{url}/ready").status_code == 503
        assert httpx.get(f"{url}/live").status_code == 200
        assert server.end() == 0
