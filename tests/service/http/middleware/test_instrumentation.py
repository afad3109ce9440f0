import asyncio
import logging
import re

import httpx2 as httpx
import pytest
from fastapi.testclient import TestClient
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from service.app import create_app
from service.http.middleware.instrumentation import Instrumentation
from service.observability.access_log import LOGGER
from service.observability.metrics import Metrics
from service.settings import Settings
from service.shutdown import Stopping

MADE = re.compile(r"[0-9a-f]{32}")


@pytest.fixture
def settings(tmp_path):
    return Settings(model_repository=tmp_path / "none", device="cpu")


@pytest.fixture
def client(settings):
    """A service without models of its own, so that its counts are the test's."""
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


def counts(client) -> dict[tuple[str, str, str], float]:
    """Requests by route, model and status."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {
        (sample.labels["route"], sample.labels["model"], sample.labels["status"]): sample.value
        for family in families
        for sample in family.samples
        if sample.name == "scs_requests_total"
    }


def answer(app, **scope):
    """The messages that a bare ASGI application sends when it is client."""
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request", "body": b""}

    async def run():
        await app({"type": "http", "method": "GET", "path": "/", "headers": [], "state": {}, **scope}, receive, send)

    asyncio.run(run())
    return sent


def watch(app, stopping=None):
    return Instrumentation(app, Metrics(), stopping or Stopping())


async def fine(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": ((b"content-length", b"2"),)})
    await send({"type": "http.response.body", "body": b"ok"})


def test_every_answer_carries_an_id_of_its_own(client):
    ids = [client.get(path).headers["x-request-id"] for path in ("/models", "/models", "/nowhere", "/docs")]
    assert all(MADE.fullmatch(each) for each in ids)
    assert len(set(ids)) == 4


@pytest.mark.parametrize("given", ["a", "trace 7/b:c", '"quoted\\', "x" * 128])
def test_a_sane_id_is_given_back(client, given):
    assert client.get("/models", headers={"X-Request-ID": given}).headers["x-request-id"] == given


@pytest.mark.parametrize("given", [b"", b"x" * 129, b"a\tb", b"\xc3\xa4", b"\xff"])
def test_an_id_that_is_not_sane_is_replaced(client, given):
    assert MADE.fullmatch(client.get("/models", headers={"X-Request-ID": given}).headers["x-request-id"])


def test_a_failure_carries_its_id_too(client, monkeypatch):
    def broken():
        raise RuntimeError

    monkeypatch.setattr(client.app.state.services.models, "states", broken)
    headers = {"X-Request-ID": "mine"}
    for status, response in (
        (500, client.get("/models", headers=headers)),
        (404, client.get("/models/cat", headers=headers)),
        (422, client.post("/predict?top_k=x", headers=headers)),
        (405, client.get("/predict", headers=headers)),
    ):
        assert (response.status_code, response.headers["x-request-id"]) == (status, "mine")


def test_requests_are_counted_by_the_template_of_their_route(client):
    for name in ("cat", "dog"):
        client.get(f"/models/{name}")
    client.post("/models")
    found = counts(client)
    assert found["/models/{name}", "", "404"] == 2
    assert found["/models", "", "405"] == 1


def test_paths_that_nobody_foresaw_are_one_label(client):
    for number in range(20):
        client.get(f"/nowhere/{number}")
    found = counts(client)
    assert found["other", "", "404"] == 20
    assert not any("nowhere" in route for route, _, _ in found)


def test_requests_are_counted_by_the_model_that_the_route_names():
    async def named(scope, receive, send):
        scope["state"]["model"] = "cat"
        await fine(scope, receive, send)

    app = watch(named)
    answer(app)
    answer(app)
    text, _ = app.metrics.exposition("")
    assert b'scs_requests_total{model="cat",route="other",status="200"} 2.0' in text
    assert b'scs_request_seconds_count{model="cat",route="other"} 2.0' in text


def test_a_request_is_in_flight_until_it_is_answered():
    seen = []

    async def looks(scope, receive, send):
        seen.append(app.metrics.exposition("")[0])
        await fine(scope, receive, send)

    app = watch(looks)
    answer(app)
    assert b"scs_requests_in_flight 1.0" in seen[0]
    assert b"scs_requests_in_flight 0.0" in app.metrics.exposition("")[0]


def test_no_answer_is_taken_for_something_else_than_its_content_type_says(client):
    for answered in (
        client.get("/docs"),
        client.get("/static-offline-docs/swagger-ui.css"),
        client.get("/v2/health/live"),
        client.get("/nowhere"),
        client.post("/predict", content=b"<html>"),
        client.post("/predict", headers={"Content-Encoding": "br"}),
        client.post("/v2/models/cat/infer", content=b"<html>"),
    ):
        assert answered.headers["x-content-type-options"] == "nosniff", answered.url


def test_a_failure_nobody_foresaw_is_counted_and_leaves_nothing_in_flight(caplog):
    async def broken(scope, receive, send):
        raise RuntimeError

    app = watch(broken)
    start, body = answer(app)
    assert start["status"] == 500 and b"was logged" in body["body"]
    assert b'status="500"} 1.0' in app.metrics.exposition("")[0]
    assert app.metrics.in_flight == 0


def test_an_answer_that_breaks_off_is_left_to_the_server():
    async def breaks_off(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("half-way")

    app = watch(breaks_off)
    with pytest.raises(RuntimeError, match="half-way"):
        answer(app)
    assert app.metrics.in_flight == 0


def test_a_client_that_leaves_while_it_sends_is_no_failure_of_the_service(settings, serve_app, caplog):
    app = create_app(settings)
    with serve_app(app) as url:
        host, port = url.removeprefix("http://").split(":")

        async def leave():
            _, writer = await asyncio.open_connection(host, int(port))
            head = b"POST /match HTTP/1.1\r\nHost: [::1]\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
            writer.write(head + b"half")
            await writer.drain()
            await asyncio.sleep(0.2)
            writer.close()
            await writer.wait_closed()

        asyncio.run(leave())
        for _ in range(100):
            text = httpx.get(f"{url}/metrics").text
            if 'route="/match",status="499"} 1.0' in text:
                break
        assert 'route="/match",status="499"} 1.0' in text
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_the_headers_of_an_answer_are_added_to_and_not_changed():
    headers = [(b"content-length", b"2")]

    async def constant(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    start, _ = answer(watch(constant), headers=[(b"x-request-id", b"mine")])
    assert start["headers"] == [
        (b"content-length", b"2"),
        (b"x-request-id", b"mine"),
        (b"x-content-type-options", b"nosniff"),
    ]
    assert headers == [(b"content-length", b"2")]


def test_before_a_stop_each_answer_asks_for_its_connection_to_be_closed():
    stopping = Stopping()
    app = watch(fine, stopping)
    assert (b"connection", b"close") not in answer(app)[0]["headers"]
    stopping.begun = True
    assert (b"connection", b"close") in answer(app)[0]["headers"]


def test_a_request_that_a_stop_cuts_off_is_told_to_ask_again():
    async def cut_off(scope, receive, send):
        raise asyncio.CancelledError

    start, body = answer(watch(cut_off, Stopping(begun=True)))
    assert start["status"] == 503
    assert b"ask again" in body["body"]
    with pytest.raises(asyncio.CancelledError):
        answer(watch(cut_off))


def test_the_line_of_a_request_says_what_became_of_it(client, caplog):
    with caplog.at_level(logging.INFO, LOGGER):
        body = client.get("/models/cat", headers={"X-Request-ID": "mine"}).content
    (record,) = (record for record in caplog.records if record.name == LOGGER)
    answered = record.msg
    assert answered[:3] == ("GET", "/models/{name}", 404)
    assert (answered.model, answered.size, answered.request_id) == ("", len(body), "mine")
    assert 0 < answered.seconds < 60


def test_health_and_metrics_have_no_line_unless_asked_for(client, caplog):
    paths = ("/metrics", "/v2/health/live", "/v2/health/ready")
    with caplog.at_level(logging.INFO, LOGGER):
        for path in paths:
            client.get(path)
    assert not [record for record in caplog.records if record.name == LOGGER]
    with caplog.at_level(logging.DEBUG, LOGGER):
        for path in paths:
            client.get(path)
    assert len([record for record in caplog.records if record.name == LOGGER]) == 3


def test_nothing_is_counted_in_the_librarys_global_registry():
    assert not any(family.name.startswith("scs_") for family in REGISTRY.collect())
