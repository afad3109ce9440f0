"""Upgrades that are ignored, and clients that close their side first, each against a real server."""

import json
import re
import socket
import struct
import time

import httpx2 as httpx
import pytest

from service.app import create_app

LIVE = b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n"
INDEX = b"POST /v2/repository/index HTTP/1.1\r\nHost: localhost\r\n"
READY = b'{"ready": true}'
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
WEBSOCKET = b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
SMUGGLED = b"GET /models HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def url(settings, serve_app):
    with serve_app(create_app(settings)) as url:
        yield url


@pytest.fixture
def connection(url):
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=30) as connection:
        yield connection


def read_answers(connection, count):
    """The statuses and bodies of so many answers."""
    answers = []
    with connection.makefile("rb") as stream:
        while len(answers) < count:
            status = int(stream.readline().split()[1])
            length = 0
            while (line := stream.readline()) not in (b"\r\n", b""):
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            answers.append((status, stream.read(length)))
    return answers


def sized(head, body):
    return head + b"Content-Length: %d\r\n\r\n" % len(body), body


def chunked(head, body):
    return head + b"Transfer-Encoding: chunked\r\n\r\n", b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("framed", [sized, chunked])
@pytest.mark.parametrize("upgrade", [H2C, WEBSOCKET])
def test_the_body_behind_an_upgrade_is_read_and_the_upgrade_ignored(connection, upgrade, framed, together):
    head, body = framed(INDEX + upgrade, READY)
    for part in [head + body] if together else [head, body]:
        connection.sendall(part)
        time.sleep(0 if together else 0.1)
    connection.sendall(LIVE + b"\r\n")
    (status, listed), live = read_answers(connection, 2)
    assert status == 200 and {model["state"] for model in json.loads(listed)} == {"READY"}
    assert live == (200, b'{"live":true}')


@pytest.mark.parametrize("framed", [sized, chunked])
def test_a_body_behind_an_upgrade_is_no_request(connection, framed):
    head, body = framed(INDEX + H2C, SMUGGLED)
    connection.sendall(head)
    time.sleep(0.1)
    connection.sendall(body + LIVE + b"\r\n")
    assert [status for status, _ in read_answers(connection, 2)] == [400, 200]


def test_every_byte_may_come_alone(connection):
    for byte in b"".join(sized(INDEX + H2C, READY)) + LIVE + b"\r\n":
        connection.sendall(bytes([byte]))
    assert [status for status, _ in read_answers(connection, 2)] == [200, 200]


def test_many_upgrades_on_one_connection_are_all_ignored(connection):
    one = b"".join(sized(INDEX + H2C, READY)) + LIVE + WEBSOCKET + b"\r\n"
    connection.sendall(one * 50)
    answers = read_answers(connection, 100)
    assert {status for status, _ in answers} == {200}
    assert [body for _, body in answers[1::2]] == [b'{"live":true}'] * 50


def test_a_client_that_waits_for_100_is_told_to_go_on_behind_an_upgrade(connection):
    head, body = sized(INDEX + H2C + b"Expect: 100-continue\r\n", READY)
    connection.sendall(head)
    assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.sendall(body)
    assert read_answers(connection, 1)[0][0] == 200


def test_an_upgrade_hides_no_second_length(connection):
    connection.sendall(INDEX + H2C + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}" + SMUGGLED)
    ((status, _),) = read_answers(connection, 1)
    assert status == 400
    assert connection.recv(1) == b""


@pytest.mark.parametrize("upgrade", [b"", H2C])
def test_a_tunnel_is_refused(connection, upgrade):
    connection.sendall(b"CONNECT localhost:1 HTTP/1.1\r\nHost: localhost\r\n" + upgrade + b"\r\n" + SMUGGLED)
    ((status, _),) = read_answers(connection, 1)
    assert status == 400
    assert connection.recv(1) == b""


def test_a_client_that_closes_its_side_gets_its_answers(connection):
    connection.sendall(b"".join(sized(INDEX, READY)) + LIVE + b"\r\n")
    connection.shutdown(socket.SHUT_WR)
    assert [status for status, _ in read_answers(connection, 2)] == [200, 200]
    assert connection.recv(1) == b""


def test_a_client_that_closes_its_side_may_wait_for_long_work(connection, encode, photograph):
    picture = encode(photograph)
    head = b"POST /activations?channels=top1 HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
    connection.sendall(b"".join(sized(head, picture)))
    connection.shutdown(socket.SHUT_WR)
    (status, body) = read_answers(connection, 1)[0]
    while status == 100:
        (status, body) = read_answers(connection, 1)[0]
    assert status == 200 and json.loads(body)["layers"]


@pytest.mark.parametrize("part", [LIVE, b"".join(sized(INDEX, READY))[:-1]])
def test_half_a_request_is_not_waited_for_once_its_client_has_closed_its_side(connection, part):
    connection.sendall(part)
    connection.shutdown(socket.SHUT_WR)
    assert connection.recv(1) == b""


@pytest.mark.parametrize("reset", [False, True])
def test_a_client_that_has_gone_altogether_is_found_out(settings, serve_app, reset):
    """Its system says so only when it is sent something."""
    app = create_app(settings)
    gone = []

    async def wait(scope, receive, send):
        while (await receive())["type"] != "http.disconnect":
            pass
        gone.append(time.monotonic())

    app.mount("/waits", wait)
    with serve_app(app) as url:
        client = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=30)
        client.sendall(b"GET /waits/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(0.2)
        assert not gone
        if reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        for _ in range(200):
            if gone:
                break
            time.sleep(0.1)
        assert gone
        assert re.search(r'status="499"} 1.0', httpx.get(f"{url}/metrics").text)
