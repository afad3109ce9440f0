"""A real process and clients that mean it no good: its health answers all the same, and its memory stays."""

import contextlib
import http.client
import re
import resource
import socket
import threading
import time
import zlib

import pytest

MIB = 2**20

pytestmark = pytest.mark.alone
ASKED = 100
MOST_GROWTH_MIB = 200


@pytest.fixture(scope="module")
def address(serve):
    with serve() as url:
        host, port = url.removeprefix("http://").split(":")
        yield host, int(port)


@pytest.fixture(scope="module")
def quiet(address):
    """Seconds that nearly every question for health takes while nobody means harm."""
    slowest(address)
    return slowest(address)


def slowest(address):
    """The 99th percentile of asking for health, in seconds, each time on a connection of its own."""
    taken = []
    for _ in range(ASKED):
        started = time.perf_counter()
        connection = http.client.HTTPConnection(*address, timeout=30)
        connection.request("GET", "/v2/health/live")
        answer = connection.getresponse()
        assert answer.status == 200 and answer.read()
        connection.close()
        taken.append(time.perf_counter() - started)
        time.sleep(0.005)
    return sorted(taken)[int(0.99 * ASKED)]


def memory_mib(address):
    connection = http.client.HTTPConnection(*address, timeout=30)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return float(re.search(r"^process_resident_memory_bytes (\S+)$", text, re.MULTILINE)[1]) / MIB


@contextlib.contextmanager
def meanwhile(attack, count):
    """Run an attack in so many threads, again and again until the end of the block."""
    over = threading.Event()
    begun = threading.Barrier(count + 1)

    def again():
        begun.wait()
        while not over.is_set():
            with contextlib.suppress(OSError):  # refused, as it should be
                attack(over)

    threads = [threading.Thread(target=again) for _ in range(count)]
    for thread in threads:
        thread.start()
    begun.wait()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def post(path, *headers):
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


def check_health(address, quiet, attack, count):
    before = memory_mib(address)
    with meanwhile(attack, count):
        time.sleep(0.5)
        assert slowest(address) < 0.25 + 20 * quiet
    assert memory_mib(address) - before < MOST_GROWTH_MIB


def test_slow_senders(address, quiet):
    def attack(over):
        with socket.create_connection(address, timeout=30) as connection:
            connection.sendall(post("/predict", "Content-Length: 100000"))
            while not over.wait(0.1):
                connection.sendall(b"x")

    check_health(address, quiet, attack, count=20)


def test_a_million_tiny_chunks(address, quiet):
    chunks = b"1\r\nx\r\n" * 10_000

    def attack(over):
        with socket.create_connection(address, timeout=30) as connection:
            connection.sendall(post("/predict", "Transfer-Encoding: chunked", "Content-Type: image/png"))
            for _ in range(100):
                connection.sendall(chunks)
            connection.sendall(b"0\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 415 ")

    check_health(address, quiet, attack, count=1)


def test_a_gzip_bomb(address, quiet):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join([*(packer.compress(bytes(MIB)) for _ in range(512)), packer.flush()])
    assert len(bomb) < MIB
    head = post("/v2/models/mnist-conv/infer", "Content-Encoding: gzip", f"Content-Length: {len(bomb)}")

    def attack(over):
        with socket.create_connection(address, timeout=30) as connection:
            connection.sendall(head + bomb)
            assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")

    check_health(address, quiet, attack, count=2)


def test_endless_headers(address, quiet):
    lines = b"X-Header: " + b"x" * 1000 + b"\r\n"

    def attack(over):
        with socket.create_connection(address, timeout=30) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n")
            while not over.is_set():
                connection.sendall(lines)

    check_health(address, quiet, attack, count=2)


def test_a_thousand_idle_connections(address, quiet):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2000:
        pytest.skip(f"a thousand connections need 2000 open files; {hard} are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2000), hard))
    before = memory_mib(address)
    with contextlib.ExitStack() as opened:
        for _ in range(1000):
            opened.enter_context(socket.create_connection(address, timeout=30))
        assert slowest(address) < 0.25 + 20 * quiet
        assert memory_mib(address) - before < MOST_GROWTH_MIB
