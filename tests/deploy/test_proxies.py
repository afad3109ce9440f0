"""The examples of proxies, each run in front of one replica that answers and one that is busy or gone."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2 as httpx
import pytest
import yaml

from service.app import create_app
from service.settings import Settings

PROXIES = Path(__file__).parents[2] / "deploy/proxies"
COMMANDS = {
    "nginx": ["nginx", "-e", "stderr", "-g", "daemon off; user root;", "-c"],
    "haproxy": ["haproxy", "-db", "-f"],
}
FILES = {"nginx": "nginx.conf", "haproxy": "haproxy.cfg"}


class Busy(BaseHTTPRequestHandler):
    """A replica that is ready and answers every question with 503."""

    protocol_version = "HTTP/1.1"
    asked = 0

    def do_GET(self) -> None:
        self.answer(200 if self.path == "/v2/health/ready" else 503)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        type(self).asked += 1
        self.answer(503)

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def replica(serve_app) -> Iterator[str]:
    settings = Settings(device="cpu", allowed_hosts="*")
    with serve_app(create_app(settings)) as url:
        yield url.removeprefix("http://")


@pytest.fixture
def busy() -> Iterator[str]:
    Busy.asked = 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), Busy)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def unused_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextmanager
def running(proxy: str, folder: Path, *replicas: str) -> Iterator[str]:
    """Run a proxy by its example, with these replicas in place of the two that it names."""
    if shutil.which(proxy) is None:
        pytest.skip(f"needs {proxy}")
    port = unused_port()
    text = (PROXIES / FILES[proxy]).read_text().replace("8080", str(port))
    for number, address in enumerate(replicas, 1):
        text = text.replace(f"scs-{number}:8000", address)
    # What a packaged nginx has in folders of its own, which not everybody may write to.
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    text = text.replace("events {}", f"pid {folder}/pid; events {{}}").replace("http {", f"http {{ {places}", 1)
    config = folder / FILES[proxy]
    config.write_text(text)
    process = subprocess.Popen([*COMMANDS[proxy], str(config)], stderr=subprocess.PIPE, text=True)
    try:
        for _ in range(100):
            assert process.poll() is None, process.stderr.read()
            with socket.socket() as trial:
                if trial.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate(timeout=10)


@pytest.mark.parametrize("proxy", COMMANDS)
def test_a_busy_replica_s_questions_are_asked_of_the_other(proxy, tmp_path, replica, busy, jpeg):
    with running(proxy, tmp_path, replica, busy) as url, httpx.Client() as client:
        answers = [client.post(f"{url}/predict", content=jpeg) for _ in range(12)]
        assert [answer.status_code for answer in answers] == [200] * 12
        assert Busy.asked > 0, "the busy one was never asked"
        below = client.post(f"{url}/vision/predict", content=jpeg)
        assert below.json()["predictions"] == answers[0].json()["predictions"]
        assert client.get(f"{url}/vision/openapi.json").json()["servers"] == [{"url": "/vision"}]


@pytest.mark.parametrize("proxy", COMMANDS)
def test_a_replica_that_is_gone_is_not_noticed(proxy, tmp_path, replica, jpeg):
    with running(proxy, tmp_path, replica, f"127.0.0.1:{unused_port()}") as url, httpx.Client() as client:
        answers = [client.post(f"{url}/predict", content=jpeg) for _ in range(12)]
    assert [answer.status_code for answer in answers] == [200] * 12


@pytest.mark.parametrize("proxy", COMMANDS)
def test_a_body_that_the_service_would_refuse_does_not_get_there(proxy, tmp_path, busy):
    with running(proxy, tmp_path, busy, busy) as url:
        size = str(Settings().max_body_bytes + 1)
        with socket.create_connection(("127.0.0.1", int(url.rsplit(":")[-1])), timeout=10) as connection:
            connection.sendall(f"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n".encode())
            assert b" 413 " in connection.recv(200)
    assert Busy.asked == 0


def test_the_example_for_envoy_names_the_replicas_and_reads_as_yaml():
    clusters = yaml.safe_load((PROXIES / "envoy.yaml").read_text())["static_resources"]["clusters"]
    ends = clusters[0]["load_assignment"]["endpoints"][0]["lb_endpoints"]
    named = [end["endpoint"]["address"]["socket_address"] for end in ends]
    assert named == [{"address": f"scs-{number}", "port_value": 8000} for number in (1, 2)]
