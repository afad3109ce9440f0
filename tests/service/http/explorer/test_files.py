"""The explorer's page and its files, as any program gets them."""

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

import service.http.explorer
from service.app import create_app
from service.http.explorer.files import read_page_files

FOLDER = Path(service.http.explorer.__file__).parent / "page"
MODULES = sorted(FOLDER.glob("*.js"))
BROWSERS = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def policy(answer):
    parts = (part.split(" ") for part in answer.headers["content-security-policy"].split("; "))
    return {name: sources for name, *sources in parts}


@pytest.mark.parametrize("accept", [BROWSERS, "*/*", ""])
def test_the_page_is_what_anybody_gets_who_does_not_ask_for_json(client, accept):
    answer = client.get("/", headers={"Accept": accept})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "<scs-stage>" in answer.text


@pytest.mark.parametrize("accept", ["application/json", "application/problem+json, application/json;q=0.9"])
def test_a_program_that_asks_for_json_is_told_that_there_is_no_such_route(client, accept):
    answer = client.get("/", headers={"Accept": accept})
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/no-route")


def test_the_page_may_load_nothing_from_elsewhere_and_make_no_script_of_text(client):
    allowed = policy(client.get("/"))
    assert allowed.pop("default-src") == allowed.pop("form-action") == allowed.pop("frame-ancestors") == ["'none'"]
    assert (allowed.pop("require-trusted-types-for"), allowed.pop("trusted-types")) == (["'script'"], ["'none'"])
    assert {source for sources in allowed.values() for source in sources} == {"'self'", "data:", "blob:"}


@pytest.mark.parametrize("name", read_page_files())
def test_a_file_is_sent_once_and_afterwards_only_if_it_changed(client, name):
    path = "/" if name == "index.html" else f"/explorer/{name}"
    first = client.get(path)
    assert (first.status_code, first.headers["cache-control"]) == (200, "no-cache")
    again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert client.get(path, headers={"If-None-Match": '"another"'}).content == first.content


@pytest.mark.parametrize("name", ["nothing.js", "index.html", "types.d.ts", "../files.py", "..%2Ffiles.py", ""])
def test_nothing_but_the_files_of_the_page_is_sent(client, name):
    assert client.get(f"/explorer/{name}").status_code == 404


def test_what_the_page_names_is_there(client):
    page = client.get("/").text
    named = re.findall(r'(?:src|href)="(explorer/[^"]+)"', page)
    named += [f"explorer/{name}" for file in MODULES for name in re.findall(r'from "\./([^"]+)"', file.read_text())]
    assert len(named) > 20
    assert {name: client.get(f"/{name}").status_code for name in named} == dict.fromkeys(named, 200)


def test_the_links_of_the_page_start_from_the_prefix_that_a_proxy_has(settings):
    assert "<base" not in TestClient(create_app(settings)).get("/").text
    with TestClient(create_app(settings.model_copy(update={"root_path": "/vision/scs"}))) as client:
        for path in ("/", "/vision/scs", "/vision/scs/"):
            answer = client.get(path)
            assert '<base href="/vision/scs/" />' in answer.text
            assert policy(answer)["base-uri"] == ["'self'"]
        assert client.get("/vision/scs/explorer/main.js").status_code == 200


def test_the_page_is_shown_without_the_key_and_nothing_else_is(settings):
    locked = settings.model_copy(update={"api_key": SecretStr("correct-horse-battery")})
    with TestClient(create_app(locked)) as client:
        assert client.get("/").status_code == client.get("/explorer/main.js").status_code == 200
        assert client.head("/").status_code == 200
        for method, path in (("GET", "/models"), ("POST", "/"), ("POST", "/explorer/main.js"), ("GET", "/explorer")):
            assert client.request(method, path).status_code == 401


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_a_module_says_what_it_is_about_and_stays_short(module):
    lines = module.read_text().splitlines()
    assert lines[0] == "// @ts-check"
    assert lines[1].startswith("/** ")
    assert len(lines) <= 300
    text = module.read_text()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
