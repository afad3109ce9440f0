"""A key, where one is set, guards everything but health."""

import asyncio
import base64
import logging

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from scs.errors import ServerError
from service.app import create_app
from service.client.client import Client
from service.http.middleware.security import is_allowed

KEY = "correct-horse-battery"
OTHERS = ["", "correct-horse", KEY + "x", KEY.upper(), "x" * 10_000, "schlüssel-mit-ümlaut"]
GUARDED = [
    ("GET", "/models"),
    ("GET", "/models/shapes-scs"),
    ("GET", "/docs"),
    ("GET", "/openapi.json"),
    ("GET", "/static-offline-docs/swagger-ui.css"),
    ("GET", "/metrics"),
    ("GET", "/nowhere"),
    ("POST", "/predict"),
    ("POST", "/activations"),
    ("POST", "/match"),
    ("OPTIONS", "/predict"),
]
PROTOCOLS = [
    ("GET", "/v2"),
    ("GET", "/v2/"),
    ("GET", "/v2/healthy"),
    ("GET", "/v2/models/shapes-scs/ready"),
    ("POST", "/v2/models/shapes-scs/infer"),
    ("POST", "/v2/repository/index"),
]


@pytest.fixture(scope="module")
def guarded(settings):
    with TestClient(create_app(settings.model_copy(update={"api_key": SecretStr(KEY)}))) as client:
        yield client


def basic(password):
    return {"Authorization": "Basic " + base64.b64encode(f"anybody:{password}".encode()).decode()}


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/ready"])
def test_health_needs_no_key(guarded, path):
    assert guarded.get(path).status_code == 200


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_all_else_is_refused_without_a_key(guarded, method, path):
    refused = guarded.request(method, path)
    assert refused.status_code == 401
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["www-authenticate"].startswith("Bearer ")
    assert "a key is needed, as 'Authorization: Bearer …'" in refused.json()["detail"]
    assert refused.json()["detail"].endswith("none came")


@pytest.mark.parametrize(("method", "path"), PROTOCOLS)
def test_the_protocols_routes_refuse_as_the_protocol_does(guarded, method, path):
    refused = guarded.request(method, path)
    assert refused.status_code == 401 and refused.headers["www-authenticate"]
    assert set(refused.json()) == {"error"} and "a key is needed" in refused.json()["error"]


@pytest.mark.parametrize("path", ["/v2/health/../../models", "/v2/health//../models", "//v2/health/live"])
def test_a_path_that_only_looks_like_healths_reaches_nothing(guarded, path):
    assert guarded.get(path).status_code in (401, 404)


@pytest.mark.parametrize("headers", [{"Authorization": f"Bearer {KEY}"}, {"authorization": f"bearer  {KEY}"}])
def test_the_key_is_taken_as_a_bearers(guarded, jpeg, headers):
    assert guarded.post("/predict", content=jpeg, headers=headers).status_code == 200


def test_the_key_is_taken_in_a_header_of_its_own(guarded, jpeg):
    assert guarded.post("/predict", content=jpeg, headers={"X-API-Key": KEY}).status_code == 200


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("scheme", [{"Authorization": "Bearer {}"}, {"X-API-Key": "{}"}])
def test_another_key_is_refused(guarded, jpeg, scheme, other):
    headers = {name: text.format(other).encode() for name, text in scheme.items()}
    refused = guarded.post("/predict", content=jpeg, headers=headers)
    assert refused.status_code == 401
    assert refused.json()["detail"].endswith("another one came")
    assert refused.headers["www-authenticate"].startswith("Bearer ")


def test_a_browser_may_read_with_the_key_as_a_password_but_not_act(guarded, jpeg):
    assert guarded.get("/docs", headers=basic(KEY)).status_code == 200
    assert guarded.get("/docs", headers=basic("other")).status_code == 401
    assert guarded.get("/docs", headers={"Authorization": "Basic not base64!"}).status_code == 401
    assert "Basic " in guarded.get("/docs").headers["www-authenticate"]

    acting = guarded.post("/predict", content=jpeg, headers=basic(KEY))
    assert acting.status_code == 401 and "Basic " not in acting.headers["www-authenticate"]


def test_a_body_is_not_read_before_the_key(guarded):
    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": [], "query_string": b""}
    sent = []

    async def receive():
        assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    asyncio.run(guarded.app(scope, receive, send))
    assert sent[0]["status"] == 401
    assert (b"connection", b"close") in sent[0]["headers"]


def test_docs_ask_for_the_key_where_one_is_set(guarded, client):
    description = guarded.get("/openapi.json", headers={"X-API-Key": KEY}).json()
    assert {scheme["type"] for scheme in description["components"]["securitySchemes"].values()} == {"http", "apiKey"}
    assert description["security"] == [{"bearer": []}, {"header": []}]
    assert description["paths"]["/v2/health/live"]["get"]["security"] == []
    assert "401" in description["paths"]["/predict"]["post"]["responses"]

    assert "security" not in client.get("/openapi.json").json()


def test_the_client_sends_the_key(settings, serve_app):
    with serve_app(create_app(settings.model_copy(update={"api_key": SecretStr(KEY)}))) as url:
        assert Client(url, KEY).models().models
        for other in (None, "another-key-entirely", "schlüssel"):
            with pytest.raises(ServerError, match="answered 401: a key is needed"):
                Client(url, other).models()


@given(st.none() | st.text(), st.text(min_size=1))
def test_only_the_key_itself_is_allowed(came, expected):
    assert is_allowed(came, expected) is (came == expected)
    assert is_allowed(came, SecretStr(expected)) is (came == expected)
    assert is_allowed(expected, expected)


@pytest.mark.parametrize(
    ("host", "key", "warned"),
    [
        ("0.0.0.0", None, True),
        ("::", None, True),
        ("example.org", None, True),
        ("0.0.0.0", SecretStr(KEY), False),
        ("127.0.0.1", None, False),
        ("127.8.8.8", None, False),
        ("::1", None, False),
        ("localhost", None, False),
    ],
)
def test_the_log_warns_where_strangers_may_ask(settings, caplog, host, key, warned):
    app = create_app(settings.model_copy(update={"host": host, "api_key": key}))
    with caplog.at_level(logging.WARNING, "service.app"), TestClient(app):
        assert ("SCS_API_KEY is not set" in caplog.text) is warned


PREFLIGHT = {"Origin": "https://a.org", "Access-Control-Request-Method": "POST"}


@pytest.fixture(scope="module")
def shared(settings):
    """With a key, and open to the pages of one origin."""
    update = {"api_key": SecretStr(KEY), "cors_origins": ("https://a.org",)}
    with TestClient(create_app(settings.model_copy(update=update))) as client:
        yield client


def test_pages_of_other_origins_are_let_in_only_where_that_is_set(client, shared):
    asked = {"Origin": "https://a.org"}
    assert "access-control-allow-origin" not in client.get("/models", headers=asked).headers
    assert client.options("/predict", headers=PREFLIGHT).status_code == 405

    let_in = shared.get("/models", headers={**asked, "X-API-Key": KEY})
    assert let_in.headers["access-control-allow-origin"] == "https://a.org"
    assert "access-control-allow-credentials" not in let_in.headers
    other = shared.get("/models", headers={"Origin": "https://b.org", "X-API-Key": KEY})
    assert "access-control-allow-origin" not in other.headers


def test_a_browser_may_ask_whether_it_may_ask_without_the_key(shared):
    allowed = shared.options(
        "/predict", headers={**PREFLIGHT, "Access-Control-Request-Headers": "authorization,x-api-key,content-type"}
    )
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == "https://a.org"
    assert shared.options("/predict", headers={**PREFLIGHT, "Origin": "https://b.org"}).status_code == 400


def test_a_page_that_is_let_in_can_read_why_it_is_refused(shared, jpeg):
    refused = shared.post("/predict", content=jpeg, headers={"Origin": "https://a.org"})
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == "https://a.org"


def test_a_page_that_is_let_in_may_send_what_traces_a_request(shared):
    asked = {**PREFLIGHT, "Access-Control-Request-Headers": "traceparent, tracestate, x-request-id"}
    assert shared.options("/predict", headers=asked).status_code == 200


def test_a_page_that_is_let_in_can_read_that_the_service_failed(settings):
    app = create_app(settings.model_copy(update={"cors_origins": ("https://a.org",)}))

    @app.get("/fails")
    def fail():
        raise RuntimeError("a fault")

    with TestClient(app, raise_server_exceptions=False) as client:
        failed = client.get("/fails", headers={"Origin": "https://a.org"})
    assert failed.status_code == 500
    assert failed.headers["access-control-allow-origin"] == "https://a.org"
