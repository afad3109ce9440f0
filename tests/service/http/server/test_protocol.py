"""Limits on what a client may do before its request reaches the application, each against a real server."""

import contextlib
import json
import logging
import re
import socket
import time
from contextlib import contextmanager

import pytest
from fastapi import Response

from service.app import create_app
from service.http.server.protocol import MAX_HEAD_BYTES, MAX_HEADERS, MAX_URL_BYTES
from service.observability.access_log import LOGGER

LIVE = b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n"
TIMEOUT_S = 1.0


@pytest.fixture(scope="module")
def address(settings, serve_app):
    app = create_app(settings.model_copy(update={"cors_origins": ("https://a.org",)}))
    with serve_app(app, body_timeout_s=TIMEOUT_S, send_timeout_s=TIMEOUT_S) as url:
        yield ("127.0.0.1", int(url.rpartition(":")[2]))


@pytest.fixture
def connect(address):
    """Open connections that are closed with the test."""
    opened = []

    def connecting():
        opened.append(socket.create_connection(address, timeout=30))
        return opened[-1]

    yield connecting
    for each in opened:
        each.close()


def read_answer(connection):
    """Status, headers and body of one answer."""
    head = b""
    while b"\r\n\r\n" not in head:
        came = connection.recv(65536)
        assert came, "the connection was closed without an answer"
        head += came
    head, _, body = head.partition(b"\r\n\r\n")
    headers = dict(re.findall(rb"(?m)^([\w-]+): (.*?)\r?$", head.lower()))
    while len(body) < int(headers[b"content-length"]):
        body += connection.recv(65536)
    return int(head.split()[1]), headers, json.loads(body)


def assert_refused(connection, status, *words):
    """One problem, in one sentence, and then the end of the connection."""
    came, headers, problem = read_answer(connection)
    assert came == status, problem
    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"connection"] == b"close"
    for word in words:
        assert word in problem["detail"]
    assert connection.recv(1) == b""


@contextmanager
def still_answering(connect):
    yield
    connection = connect()
    connection.sendall(LIVE + b"\r\n")
    assert read_answer(connection)[0] == 200


def header(size):
    return b"X: " + b"x" * size + b"\r\n"


@pytest.mark.parametrize("piece", [1 << 20, 1000, 40_000])
def test_a_head_that_is_too_large_is_refused_however_it_is_cut(connect, piece):
    with still_answering(connect):
        connection = connect()
        head = LIVE + header(MAX_HEAD_BYTES + 100_000) + b"\r\n"
        for start in range(0, len(head), piece):
            connection.sendall(head[start : start + piece])
        assert_refused(connection, 431, f"{MAX_HEAD_BYTES} bytes")


def test_a_head_without_end_is_refused(connect):
    with still_answering(connect):
        connection = connect()
        connection.sendall(LIVE)
        with pytest.raises(OSError):  # it was refused, then closed, long before all of that was sent
            for number in range(10_000_000):
                connection.sendall(f"X-{number}: {'x' * 1000}\r\n".encode())
                time.sleep(0 if number < 1000 else 0.01)


def test_too_many_fields_are_refused(connect):
    connection = connect()
    connection.sendall(LIVE + b"X: x\r\n" * MAX_HEADERS + b"\r\n")
    assert_refused(connection, 431, f"{MAX_HEADERS} fields", f"{MAX_HEADERS + 1} fields came")


def test_as_many_fields_and_bytes_as_are_allowed_are_read(connect):
    connection = connect()
    for extra in (b"X: x\r\n" * (MAX_HEADERS - 1), header(MAX_HEAD_BYTES - 100)):
        connection.sendall(LIVE + extra + b"\r\n")
        assert read_answer(connection)[0] == 200


def test_an_address_that_is_too_long_is_refused(connect):
    connection = connect()
    connection.sendall(b"GET /" + b"x" * MAX_URL_BYTES + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert_refused(connection, 414, f"{MAX_URL_BYTES} bytes; {MAX_URL_BYTES + 1} came")


@pytest.mark.parametrize(
    "nonsense", [b"hello\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET\r\n\r\n"]
)
def test_what_is_not_http_is_a_problem(connect, nonsense):
    with still_answering(connect):
        connection = connect()
        connection.sendall(nonsense)
        assert_refused(connection, 400, "an HTTP request was needed")


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"Content-Length: 5\r\n" * 2]
)
def test_a_length_that_is_said_in_two_ways_is_refused(connect, framing):
    connection = connect()
    connection.sendall(
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\n" + framing + b"\r\n0\r\n\r\nGET /models HTTP/1.1\r\n\r\n"
    )
    assert_refused(connection, 400)


def test_a_chunk_that_is_none_is_refused_in_place_of_the_applications_answer(connect):
    connection = connect()
    connection.sendall(
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n"
    )
    assert_refused(connection, 400, "an HTTP request was needed")


def test_many_requests_at_once_on_one_connection_are_each_answered(connect):
    """More of them than a head may have bytes, in one piece: it is each head that is limited."""
    count = 2 * MAX_HEAD_BYTES // len(LIVE)
    connection = connect()
    connection.sendall((LIVE + b"\r\n") * count)
    answers = b""
    while answers.count(b"HTTP/1.1 200 OK") < count or not answers.endswith(b"}"):
        answers += connection.recv(1 << 20)
    assert answers.count(b"HTTP/1.1 ") == count


def test_a_connection_that_says_nothing_is_closed(connect):
    connection = connect()
    assert connection.recv(1) == b""


@pytest.mark.parametrize("beginning", [b"\r\n", b"GET", LIVE])
def test_a_head_that_does_not_end_is_refused_in_time(connect, beginning):
    connection = connect()
    connection.sendall(beginning)
    assert_refused(connection, 408, "a request's head may take 1 seconds")


def test_a_second_head_that_does_not_end_is_refused_in_time_too(connect):
    connection = connect()
    connection.sendall(LIVE + b"\r\n")
    assert read_answer(connection)[0] == 200
    connection.sendall(LIVE)
    assert_refused(connection, 408)


@pytest.mark.parametrize("framing", [b"Content-Length: 1000000", b"Transfer-Encoding: chunked"])
def test_a_body_that_comes_byte_by_byte_is_refused_in_time(connect, framing):
    with still_answering(connect):
        connection = connect()
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\n" + framing + b"\r\n\r\n")
        piece = b"1\r\nx\r\n" if b"chunked" in framing else b"x"
        for _ in range(15):
            connection.sendall(piece)
            time.sleep(0.1)
        assert_refused(connection, 408, "a body may take 1 seconds", "bytes came in")


def test_on_the_protocols_routes_a_late_body_is_refused_as_the_protocol_does(connect):
    connection = connect()
    connection.sendall(b"POST /v2/models/shapes-scs/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
    status, _, answer = read_answer(connection)
    assert (status, set(answer)) == (408, {"error"})


def test_a_body_that_takes_long_but_comes_steadily_is_read(connect, encode, photograph):
    picture = encode(photograph)
    assert len(picture) > 200_000
    connection = connect()
    connection.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(picture))
    for start in range(0, len(picture), len(picture) // 8):
        connection.sendall(picture[start : start + len(picture) // 8])
        time.sleep(0.3)
    assert read_answer(connection)[0] == 200


def test_a_client_may_rest_between_requests(connect):
    connection = connect()
    for _ in range(2):
        connection.sendall(LIVE + b"\r\n")
        assert read_answer(connection)[0] == 200
        time.sleep(1.5 * TIMEOUT_S)


def test_a_refusal_reaches_a_client_that_is_still_sending(connect, settings):
    """Closed at once, the connection would be reset, and the answer with it."""
    size = settings.max_body_bytes + 1
    connection = connect()
    connection.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % size)
    for _ in range(size // 2**20):
        connection.sendall(bytes(2**20))
    assert_refused(connection, 413, f"{settings.max_body_bytes} bytes; at least {size} came")


CHUNKED = b"POST /v2/repository/index HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"


@pytest.mark.parametrize(
    "trailers",
    [
        b"X: x\r\n" * (MAX_HEADERS + 1),
        b"X: " + b"x" * (MAX_HEAD_BYTES + 1) + b"\r\n",
        (b"X: " + b"x" * 300 + b"\r\n") * 120,
    ],
)
@pytest.mark.parametrize("piece", [1 << 20, 100])
def test_trailers_have_the_limits_of_a_head(connect, trailers, piece):
    with still_answering(connect):
        connection = connect()
        connection.sendall(CHUNKED)
        sent = trailers + b"\r\n" + LIVE + b"\r\n"
        for start in range(0, len(sent), piece):
            connection.sendall(sent[start : start + piece])
        assert_refused(connection, 431, "behind a body", f"{MAX_HEAD_BYTES} bytes")


@pytest.mark.parametrize(
    ("begun", "more"),
    [(CHUNKED, b"x:\r\n" * 1000), (CHUNKED.removesuffix(b"\r\n") + b";", b"x" * 1000)],
    ids=["trailers", "extensions of a chunk"],
)
def test_what_has_no_end_behind_a_body_is_refused(connect, begun, more):
    connection = connect()
    connection.sendall(begun)
    with pytest.raises(OSError):
        for number in range(10_000_000):
            connection.sendall(more)
            time.sleep(0 if number < 100 else 0.01)


def test_trailers_are_no_headers_of_this_request_or_of_the_next(connect):
    connection = connect()
    names = (b"Host: evil.example", b"Origin: https://evil.example", b"X-Request-ID: theirs", b"Upgrade: h2c")
    trailers = b"".join(name + b"\r\n" for name in (*names, b"Connection: upgrade", b"Content-Encoding: gzip"))
    connection.sendall(CHUNKED + trailers + b"\r\n")
    status, headers, _ = read_answer(connection)
    assert status == 200 and headers[b"x-request-id"] != b"theirs"
    connection.sendall(LIVE + b"\r\n")
    status, headers, _ = read_answer(connection)
    assert status == 200 and headers[b"x-request-id"] != b"theirs"


EARLY = {
    431: LIVE + b"X: x\r\n" * MAX_HEADERS,
    414: b"GET /" + b"x" * MAX_URL_BYTES + b" HTTP/1.1\r\nHost: localhost\r\n",
    400: b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n",
    408: b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n",
}


@pytest.mark.parametrize("status", EARLY)
def test_what_is_refused_early_is_answered_and_counted_like_the_rest(connect, status, caplog):
    caplog.set_level(logging.INFO, LOGGER)
    before = counted(connect, status)
    connection = connect()
    marks = b"X-Request-ID: mine-%d\r\nOrigin: https://a.org\r\n" % status
    line, _, fields = EARLY[status].partition(b"\r\n")
    connection.sendall(line + b"\r\n" + marks + fields + (b"Content-Length: 2\r\n\r\n" if status == 400 else b"\r\n"))
    came, headers, _ = read_answer(connection)
    assert (came, headers[b"x-request-id"]) == (status, b"mine-%d" % status)
    assert headers[b"access-control-allow-origin"] == b"https://a.org"
    assert headers[b"x-content-type-options"] == b"nosniff"
    for _ in range(100):  # the application's part of a request may end after its answer
        if counted(connect, status) == before + 1:
            break
        time.sleep(0.05)
    assert counted(connect, status) == before + 1
    assert [each.msg.status for each in caplog.records if each.name == LOGGER and "mine" in each.msg.request_id] == [
        status
    ]


def test_a_page_that_may_not_ask_cannot_read_an_early_refusal(connect):
    connection = connect()
    connection.sendall(LIVE + b"Origin: https://evil.example\r\n" + b"X: x\r\n" * MAX_HEADERS + b"\r\n")
    status, headers, _ = read_answer(connection)
    assert status == 431 and b"access-control-allow-origin" not in headers


def counted(connect, status):
    """Requests that were answered so, by what the service says."""
    connection = connect()
    connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    with connection.makefile("rb") as stream:
        text = stream.read().decode()
    found = re.findall(rf'^scs_requests_total{{.*status="{status}"}} (\S+)$', text, re.MULTILINE)
    return sum(map(float, found))


def test_an_early_refusal_of_head_has_no_body(connect):
    connection = connect()
    connection.sendall(LIVE.replace(b"GET", b"HEAD") + b"X: x\r\n" * MAX_HEADERS + b"\r\n")
    with connection.makefile("rb") as stream:
        head, _, body = stream.read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 ") and not body


def test_a_request_that_has_its_answer_gets_no_second_one(connect):
    """The rest of its body is nonsense, and another answer would be taken for that of the next request."""
    connection = connect()
    connection.sendall(b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert read_answer(connection)[0] == 404
    connection.sendall(b"no chunk\r\n")
    assert connection.recv(1) == b""


def test_a_refusal_does_not_overtake_the_answer_before_it(connect, encode, photograph):
    picture = encode(photograph)
    first = b"POST /activations?channels=top1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(picture)
    second = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    connection = connect()
    connection.sendall(first + picture + second + b"no chunk\r\n")
    status, _, answer = read_answer(connection)
    assert status == 200 and "layers" in answer
    assert connection.recv(1) == b""


LARGE = 64 * 2**20


@pytest.fixture(scope="module")
def large(settings, serve_app):
    """A server whose answer is more than the system buffers, and the connections that it has."""
    app = create_app(settings)

    @app.get("/large")
    def answer_large():
        return Response(bytes(LARGE))

    with serve_app(app, send_timeout_s=TIMEOUT_S) as url:
        yield ("127.0.0.1", int(url.rpartition(":")[2]))


def ask_for_large(address, close):
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(30)
    connection.connect(address)
    connection.sendall(
        b"GET /large HTTP/1.1\r\nHost: localhost\r\n" + (b"Connection: close\r\n" if close else b"") + b"\r\n"
    )
    return connection


@pytest.mark.parametrize("close", [False, True])
def test_a_client_that_reads_nothing_is_given_up(large, close, caplog):
    caplog.set_level(logging.INFO)
    with ask_for_large(large, close) as connection:
        for _ in range(200):
            if "its client took nothing" in caplog.text:
                break
            time.sleep(0.1)
        assert "its client took nothing of it for 1 seconds" in caplog.text
        taken = 0
        with contextlib.suppress(ConnectionResetError):
            while came := connection.recv(1 << 20):
                taken += len(came)
        assert taken < LARGE


def test_a_client_that_reads_slowly_gets_its_answer(large):
    with ask_for_large(large, close=True) as connection:
        taken = 0
        for _ in range(8):
            time.sleep(0.4 * TIMEOUT_S)
            for _ in range(20):
                taken += len(connection.recv(1 << 20))
        while came := connection.recv(1 << 20):
            taken += len(came)
    assert taken > LARGE


def test_a_request_that_is_shed_is_not_read_and_its_connection_rests_until_it_is_worth_asking_again(
    settings, serve_app
):
    app = create_app(settings)
    body = b"x" * 3000
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: mine\r\nContent-Length: 3000\r\n\r\n"
    with serve_app(app) as url, socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as connection:
        shedder = app.state.services.shedder
        shedder.in_progress = 10**9
        for second in range(20):
            shedder.began(1.0, now=float(second))
        connection.sendall(head + body[:1000])
        status, headers, problem = read_answer(connection)
        assert (status, headers[b"retry-after"], headers[b"x-request-id"]) == (503, b"1", b"mine")
        assert "was not read" in problem["detail"]
        connection.sendall(body[1000:])
        started = time.monotonic()
        time.sleep(0.1)
        connection.sendall(LIVE + b"\r\n")
        assert read_answer(connection)[0] == 200  # what never is shed; and the body was not taken for a request
        assert time.monotonic() - started > 0.3
        text = app.state.services.metrics.exposition("")[0].decode()
    assert 'scs_requests_total{model="",route="other",status="503"} 1.0' in text


def test_a_request_whose_body_is_on_its_way_is_not_counted_as_one_that_the_service_lets_wait(settings, serve_app):
    app = create_app(settings)
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000\r\n\r\n"
    with serve_app(app) as url, socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as slow:
        slow.sendall(head + b"x" * 1000)
        time.sleep(0.3)
        assert app.state.services.metrics.in_flight == 1
        assert app.state.services.shedder.in_progress == 0
        slow.sendall(b"x" * 2000)
        assert read_answer(slow)[0] == 415
        slow.sendall(head + b"x" * 3000)
        assert read_answer(slow)[0] == 415
        assert app.state.services.shedder.in_progress == 0, "it was counted, and counted back"
