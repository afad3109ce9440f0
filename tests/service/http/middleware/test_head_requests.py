import http.client

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.app import create_app

PATHS = [
    "/models",
    "/models/shapes-scs",
    "/models/nothing",
    "/docs",
    "/openapi.json",
    "/v2",
    "/v2/",
    "/v2/health/live",
    "/v2/health/ready",
    "/v2/models/shapes-scs",
    "/v2/models/shapes-scs/config",
    "/v2/models/shapes-scs/ready",
    "/static-offline-docs/swagger-ui.css",
    "/nowhere",
]
OF_ITS_OWN = {"x-request-id", "date"}


@pytest.fixture(scope="module")
def connection(settings, serve_app):
    with serve_app(create_app(settings)) as url:
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
        yield connection
        connection.close()


def ask(connection, method, path):
    connection.request(method, path)
    answer = connection.getresponse()
    headers = {name.lower(): value for name, value in answer.getheaders() if name.lower() not in OF_ITS_OWN}
    return answer.status, headers, answer.read()


@pytest.mark.parametrize("path", PATHS)
def test_head_is_get_without_the_body(connection, path):
    status, headers, body = ask(connection, "GET", path)
    assert ask(connection, "HEAD", path) == (status, headers, b"") != (status, headers, body)
    assert int(headers["content-length"]) == len(body)


def test_metrics_have_a_head_too(connection):
    status, headers, body = ask(connection, "HEAD", "/metrics")
    assert (status, body) == (200, b"")
    assert int(headers["content-length"]) > 1000


def test_what_only_takes_post_takes_no_head(connection):
    status, headers, body = ask(connection, "HEAD", "/predict")
    assert (status, headers["allow"], body) == (405, "POST", b"")


def test_what_takes_get_says_that_it_takes_head(connection):
    assert ask(connection, "POST", "/models")[1]["allow"] == "GET, HEAD"


def test_head_is_counted_with_its_route(connection):
    def count():
        text = ask(connection, "GET", "/metrics")[2].decode()
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "scs_requests_total" and sample.labels["route"] == "/v2/models/{name}/stats"
        )

    before = count()
    ask(connection, "HEAD", "/v2/models/shapes-scs/stats")
    assert count() == before + 1
