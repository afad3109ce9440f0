"""The service works below a path prefix, whether or not the proxy strips it."""

import pytest
from fastapi.testclient import TestClient

from service.app import create_app

PREFIX = "/vision/scs"


@pytest.fixture(scope="module")
def prefixed(settings):
    app = create_app(settings.model_copy(update={"root_path": PREFIX}))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(params=["", PREFIX], ids=["stripped", "not stripped"])
def sent(request):
    """What the path begins with, as it arrives."""
    return request.param


def test_routes_answer(prefixed, sent, encode, shapes):
    picture = encode(shapes.test_images[0])
    for path in ("/v2/health/ready", "/models", "/metrics", "/v2/models/shapes-scs"):
        assert prefixed.get(sent + path).status_code == 200, path
    for path in ("/predict", "/activations"):
        answer = prefixed.post(sent + path, content=picture, headers={"content-type": "image/png"})
        assert answer.status_code == 200, path


def test_pages_find_their_scripts_and_the_description(prefixed, sent):
    page = prefixed.get(f"{sent}/docs").text
    assert f'src="{PREFIX}/static-offline-docs/swagger-ui-bundle.js"' in page
    assert f"url: '{PREFIX}/openapi.json'" in page
    assert prefixed.get(f"{sent}/static-offline-docs/swagger-ui.css").status_code == 200


def test_the_description_says_where_the_service_is(prefixed, sent):
    assert prefixed.get(f"{sent}/openapi.json").json()["servers"] == [{"url": PREFIX}]


def test_a_redirect_stays_below_the_prefix(prefixed, sent):
    answer = prefixed.get(f"{sent}/static-offline-docs", follow_redirects=False)
    if answer.is_redirect:
        assert answer.headers["location"].partition("//")[2].partition("/")[2].startswith(PREFIX[1:])
    else:
        assert answer.status_code == 404


def test_failures_keep_the_form_of_their_route(prefixed, sent):
    assert "error" in prefixed.get(f"{sent}/v2/models/none").json()
    assert prefixed.get(f"{sent}/models/none").json()["status"] == 404
    assert prefixed.get(f"{sent}/nowhere").json()["status"] == 404


def test_requests_are_counted_by_routes_without_the_prefix(prefixed, sent):
    prefixed.get(f"{sent}/models/shapes-scs")
    counted = prefixed.get(f"{sent}/metrics").text
    assert 'route="/models/{name}"' in counted and "vision" not in counted


def test_a_path_that_only_begins_like_the_prefix_is_another(prefixed):
    assert prefixed.get(f"{PREFIX}er/models").status_code == 404


def test_a_prefix_that_a_proxy_names_is_put_into_links(client):
    headers = {"x-forwarded-prefix": "/elsewhere/"}
    assert "/elsewhere/static-offline-docs/swagger-ui-bundle.js" in client.get("/docs", headers=headers).text
    assert client.get("/openapi.json", headers=headers).json()["servers"] == [{"url": "/elsewhere"}]
    assert "servers" not in client.get("/openapi.json").json()


def test_a_prefix_that_only_a_request_names_is_not_taken_off_its_path(client):
    assert client.get("/elsewhere/models", headers={"x-forwarded-prefix": "/elsewhere"}).status_code == 404


@pytest.mark.parametrize("prefix", ["//evil.org", '/a"><script>', "evil.org", "/a?b", "/" + "a" * 300, "https://a.org"])
def test_a_prefix_that_is_no_path_is_not_taken(client, prefix):
    page = client.get("/docs", headers={"x-forwarded-prefix": prefix}).text
    assert 'src="/static-offline-docs/swagger-ui-bundle.js"' in page


def test_the_prefix_that_is_set_wins(prefixed):
    page = prefixed.get("/docs", headers={"x-forwarded-prefix": "/elsewhere"}).text
    assert PREFIX in page and "elsewhere" not in page


def test_the_key_is_asked_for_below_the_prefix_too(settings, sent):
    from pydantic import SecretStr

    key = "a-key-of-sixteen-letters"
    changes = {"root_path": PREFIX, "api_key": SecretStr(key)}
    client = TestClient(create_app(settings.model_copy(update=changes)))
    assert client.get(f"{sent}/v2/health/live").status_code == 200
    assert client.get(f"{sent}/models").status_code == 401
    assert client.get(f"{sent}/models", headers={"x-api-key": key}).status_code == 200
    assert client.get(f"{sent}/x/../v2/health/../../models").status_code == 401
