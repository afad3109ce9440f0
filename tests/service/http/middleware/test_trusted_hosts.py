"""Whose requests are answered, by their ``Host`` and ``Origin``."""

import socket
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.http.middleware.trusted_hosts import TrustedHosts, is_loopback, trusted_hosts
from service.settings import Settings

OURS = ("localhost", "localhost:8000", "LOCALHOST.", "127.0.0.1:1", "127.0.0.1:", "[::1]:8000", "[0:0:0:0:0:0:0:1]")
FOREIGN = (
    "evil.example",
    "localhost.evil.example",
    "evil.localhost:8000",
    "127.0.0.1.evil.example",
    "0.0.0.0",
    "[::2]",
)
NONE = ("", "localhost, evil.example", "a@localhost", "localhost/", "[::1]x", "localhost:http", "loc alhost", "é")
PATHS = ("/models", "/models/shapes-scs", "/metrics", "/docs", "/openapi.json", "/v2", "/v2/health/live", "/nowhere")


@pytest.fixture
def local(settings):
    """The service as it is by default, for this machine only."""
    app = create_app(settings.model_copy(update={"allowed_hosts": (), "cors_origins": ("https://a.org",)}))
    with TestClient(app, base_url="http://localhost:8000") as client:
        yield client


@pytest.mark.parametrize("host", OURS)
def test_a_request_for_this_machine_is_answered(local, host):
    assert local.get("/models", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_a_page_whose_name_points_here_reads_nothing(local, path):
    refused = local.get(path, headers={"Host": "evil.example:8000", "Origin": "http://evil.example:8000"})
    assert refused.status_code == 421
    assert "'evil.example:8000' came" in refused.text


@pytest.mark.parametrize("host", FOREIGN)
def test_a_request_for_another_host_is_refused(local, host):
    refused = local.post("/predict", content=b"x", headers={"Host": host})
    assert (refused.status_code, refused.json()["type"]) == (421, "/problems/foreign-host")
    assert refused.headers["connection"] == "close"


@pytest.mark.parametrize("host", NONE)
def test_what_is_no_host_is_refused(local, host):
    assert local.get("/models", headers={"Host": host.encode("latin-1")}).status_code == 400


def test_a_refusal_can_be_read_by_a_page_that_may_ask(local):
    refused = local.get("/models", headers={"Host": "evil.example", "Origin": "https://a.org"})
    assert refused.headers["access-control-allow-origin"] == "https://a.org"


@pytest.mark.parametrize("origin", ["http://localhost:8000", "https://localhost:8000", "https://a.org"])
def test_the_service_s_own_pages_and_those_that_are_allowed_may_post(local, origin):
    assert local.post("/v2/repository/index", headers={"Origin": origin}).status_code == 200


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://localhost:3000", "http://localhost", "file://", "", "localhost:8000"],
)
@pytest.mark.parametrize("path", ["/predict", "/match", "/v2/models/shapes-scs/infer", "/v2/repository/index"])
def test_a_page_of_another_origin_may_not_post(local, path, origin):
    refused = local.post(path, content=b"{}", headers={"Origin": origin, "Content-Type": "text/plain"})
    assert refused.status_code == 403
    assert f"'{origin}' came" in refused.text


def test_a_page_of_another_origin_may_read_what_its_browser_will_not_show_it(local):
    answer = local.get("/models", headers={"Origin": "https://evil.example"})
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("host", "origin"), [("localhost", "http://localhost:80"), ("localhost:443", "https://localhost")]
)
def test_a_default_port_need_not_be_said(local, host, origin):
    assert local.post("/v2/repository/index", headers={"Host": host, "Origin": origin}).status_code == 200


def test_every_page_may_post_where_all_origins_are_allowed(settings):
    with TestClient(create_app(settings.model_copy(update={"cors_origins": ("*",)}))) as client:
        assert client.post("/v2/repository/index", headers={"Origin": "null"}).status_code == 200


@pytest.mark.parametrize("path", ["/models/", "//evil.example/docs/", "/docs/", "/static-offline-docs"])
def test_nothing_is_redirected(local, path):
    answer = local.get(f"http://localhost:8000{path}", follow_redirects=False)
    assert answer.status_code == 404
    assert "location" not in answer.headers


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", "LOCALHOST", "::ffff:127.0.0.1"])
def test_what_only_this_machine_reaches_has_its_own_names(host):
    assert is_loopback(host)
    assert trusted_hosts(Settings(host=host, allowed_hosts=())) >= {"localhost", "127.0.0.1", "[::1]"}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "scs.example.org"])
def test_what_others_reach_is_asked_by_any_name_unless_names_are_set(host):
    assert trusted_hosts(Settings(host=host, allowed_hosts=())) is None
    named = trusted_hosts(Settings(host=host, allowed_hosts=("Scs.example.org.", "[2001:DB8:0::1]")))
    assert named == {"scs.example.org", "[2001:db8::1]", "localhost", "127.0.0.1", "[::1]"}


def test_any_name_will_do_where_that_is_set_or_where_no_browser_gets():
    assert trusted_hosts(Settings(allowed_hosts=("*",))) is None
    assert trusted_hosts(Settings(uds=Path("scs.sock"), allowed_hosts=())) is None


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /models HTTP/1.1\r\n", 400),
        (b"GET /models HTTP/1.0\r\n", 200),
        (b"GET /models HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n", 400),
        (b"GET /models HTTP/1.0\r\nHost: localhost\r\nHost: evil.example\r\n", 400),
        (b"GET http://evil.example/models HTTP/1.1\r\nHost: localhost\r\n", 421),
        (b"GET http://localhost@evil.example/models HTTP/1.1\r\nHost: localhost\r\n", 421),
        (b"GET http://evil.example/models HTTP/1.0\r\n", 421),
        (b"GET http://[::1]:8000/models HTTP/1.1\r\nHost: evil.example\r\n", 200),
        (b"GET http://localhost/models HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n", 400),
    ],
)
def test_of_host_and_target_the_target_counts_and_one_is_needed(server, head, status):
    with socket.create_connection(server, timeout=30) as connection:
        connection.sendall(head + b"\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 %d " % status)


@pytest.fixture(scope="module")
def server(settings, serve_app):
    with serve_app(create_app(settings.model_copy(update={"allowed_hosts": ()}))) as url:
        yield "127.0.0.1", int(url.rpartition(":")[2])


def test_two_origins_are_none():
    gate = TrustedHosts(lambda *_: None, None, ("https://a.org",))
    headers = [(b"host", b"x"), (b"origin", b"https://a.org"), (b"origin", b"https://evil.example")]
    scope = {"type": "http", "http_version": "1.1", "method": "POST", "path": "/predict"}
    assert gate._refusal({**scope, "headers": headers}).status_code == 403
    assert gate._refusal({**scope, "headers": headers[:2]}) is None
