"""Models are loaded, unloaded and renamed while they serve, by those who may."""

import hashlib
import json
import re
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx2 as httpx
import onnx
import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from models.cards.card import LARGEST_CARD
from models.cards.catalogue import LARGEST_MODEL
from models.runtime.load import load_model
from service.app import create_app

KEY = "a-key-for-the-tests-of-this"
MODELS = "/v2/repository/models"
INSIDE = re.compile(r"/tmp|/home|/usr|\.py\b|Traceback|\n")


@pytest.fixture
def copied(repository, tmp_path):
    """Two models that a test may damage."""
    for name in ("shapes-scs", "shapes-conv"):
        shutil.copytree(repository / name, tmp_path / "models" / name)
    return tmp_path / "models"


@pytest.fixture
def keyed(settings, copied):
    """Settings of a service over those, whose operator has set a key."""
    return settings.model_copy(update={"model_repository": copied, "api_key": SecretStr(KEY)})


def open_service(settings):
    return TestClient(create_app(settings), raise_server_exceptions=False, headers={"X-API-Key": KEY})


@pytest.fixture
def service(keyed):
    with open_service(keyed) as client:
        yield client


@pytest.fixture(scope="module")
def whole(settings):
    """A service with a key over the undamaged models, for tests that change nothing."""
    with open_service(settings.model_copy(update={"api_key": SecretStr(KEY)})) as client:
        yield client


def change_card(folder, **changes):
    path = folder / "card.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def add_version(repository, version, name="shapes-scs"):
    change_card(shutil.copytree(repository / name / "1", repository / name / str(version)), version=version)


def assert_refused(answer, status, words):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    (sentence,) = answer.json().values()
    assert list(answer.json()) == ["error"]
    assert words in sentence
    assert not INSIDE.search(sentence)


def index(service, **body):
    listed = service.post("/v2/repository/index", json=body).json()
    return {(each["name"], each["version"]): (each["state"], each["reason"]) for each in listed}


def test_the_index_has_every_version_on_disk_with_its_state(service, copied):
    add_version(copied, 2)
    assert index(service) == {
        ("shapes-conv", "1"): ("READY", ""),
        ("shapes-scs", "1"): ("READY", ""),
        ("shapes-scs", "2"): ("UNAVAILABLE", "it was not loaded yet"),
    }
    assert ("shapes-scs", "2") not in index(service, ready=True)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"ready": false}'])
def test_the_index_takes_a_body_of_any_type_and_none(whole, body):
    answer = whole.post("/v2/repository/index", content=body, headers={"content-type": "application/octet-stream"})
    assert len(answer.json()) == 3


def test_a_version_that_is_loaded_answers_and_an_unloaded_model_does_not(service, copied, jpeg):
    add_version(copied, 2)
    answer = service.post(f"{MODELS}/shapes-scs/load")
    assert (answer.status_code, answer.content) == (200, b"")
    assert service.post("/predict", content=jpeg).json()["version"] == 2

    assert service.post(f"{MODELS}/shapes-scs/unload").status_code == 200
    refused = service.post("/predict", content=jpeg)
    assert refused.status_code == 503
    assert refused.json()["detail"] == "shapes-scs 2 is not available: it was unloaded"
    assert index(service)["shapes-scs", "1"] == ("UNAVAILABLE", "it was unloaded")
    assert service.post("/predict", content=jpeg, params={"model": "shapes-conv"}).status_code == 200

    assert service.post(f"{MODELS}/shapes-scs/load", json={}).status_code == 200
    assert service.post("/predict", content=jpeg, params={"version": 1}).json()["version"] == 1


def test_labels_are_moved_shown_and_asked_for(service, copied, jpeg):
    add_version(copied, 2)
    service.post(f"{MODELS}/shapes-scs/load")
    moved = service.post(f"{MODELS}/shapes-scs/labels", json={"stable": 1, "canary": 2, "default": 1})
    assert moved.json() == {"stable": 1, "canary": 2, "default": 1}
    for options, number in (({}, 1), ({"version": "stable"}, 1), ({"version": "canary"}, 2), ({"version": 2}, 2)):
        for path in ("/predict", "/activations"):
            assert service.post(path, content=jpeg, params={**options, "resize": "card"}).json()["version"] == number
    listed = {each["version"]: each for each in service.get("/models").json()["models"] if each["default"]}
    assert listed[1]["labels"] == ["stable", "default"] and listed[1]["default_version"]
    assert listed[2]["labels"] == ["canary"] and not listed[2]["default_version"]
    assert service.get("/models/shapes-scs").json()["version"] == 1
    assert service.get("/models/shapes-scs?version=canary").json()["version"] == 2
    assert service.post(f"{MODELS}/shapes-scs/labels", json={"canary": None, "stable": 2}).json() == {
        "default": 1,
        "stable": 2,
    }


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("cat/load", {}, 404, "no model 'cat' in the repository; there are: shapes-conv, "),
        ("cat/unload", {}, 404, "no model 'cat'; there are: shapes-conv, "),
        ("cat/labels", {"stable": 1}, 404, "no model 'cat'"),
        ("%2e%2e/load", {}, 404, ""),
        ("%2e%2e%2fmodels/load", {}, 404, ""),
        ("..%5cmodels/load", {}, 404, "no model"),
        ("%00/load", {}, 404, "no model"),
        ("shapes-scs%00/load", {}, 404, "no model"),
        ("shapes-scs%0a/load", {}, 404, "no model"),
        ("%2fetc/load", {}, 404, ""),
        (".hidden/load", {}, 404, "no model"),
        ("SHAPES-SCS/load", {}, 404, "no model"),
        ("shapes-scs/labels", {"stable": 7}, 404, "stable needs a version there is; 7 came and there are: 1"),
        ("shapes-scs/labels", {"stable": None}, 404, "no label 'stable'"),
        ("shapes-scs/labels", {"../x": 1}, 400, "../x"),
        ("shapes-scs/labels", {"stable": "1"}, 400, "stable"),
        ("shapes-scs/labels", {"stable": True}, 400, "stable"),
        ("shapes-scs/labels", [], 400, "the body"),
        ("shapes-scs/load", {"parameters": {"config": "{}"}}, 400, "the parameter 'config' came"),
        ("shapes-scs/load", {"parameters": {"file:1/model.onnx": "eA=="}}, 400, "'file:1/model.onnx' came"),
        ("shapes-scs/load", {"parameters": 1}, 400, "parameters"),
        ("shapes-scs/load", "shapes-scs", 400, "the body"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence_and_changes_nothing(whole, path, body, status, words):
    before = index(whole)
    assert_refused(whole.post(f"{MODELS}/{path}", json=body), status, words)
    assert index(whole) == before


def test_a_body_that_is_no_json_is_refused(whole):
    for path in ("index", "models/shapes-scs/load", "models/shapes-scs/unload", "models/shapes-scs/labels"):
        assert_refused(whole.post(f"/v2/repository/{path}", content=b"\xff{"), 400, "the body")


def test_dependents_may_be_named_as_triton_clients_do(service):
    body = {"parameters": {"unload_dependents": True}}
    assert service.post(f"{MODELS}/shapes-conv/unload", json=body).status_code == 200


def test_a_load_that_fails_says_why_there_and_in_the_state_and_the_old_goes_on(service, copied, jpeg):
    (copied / "shapes-scs/1/model.onnx").write_bytes(b"something else")
    assert_refused(
        service.post(f"{MODELS}/shapes-scs/load"), 400, "version 1: model.onnx of shapes-scs 1 needs SHA-256"
    )
    assert service.post("/predict", content=jpeg).status_code == 200
    state, reason = index(service)["shapes-scs", "1"]
    assert state == "READY" and "SHA-256" in reason
    shown = service.get("/models/shapes-scs").json()
    assert (shown["state"], shown["available"], shown["reason"]) == ("READY", True, reason)
    assert service.get("/v2/health/ready").status_code == 200


@pytest.mark.parametrize("path", ["load", "unload", "labels"])
def test_without_a_key_nothing_can_be_changed_and_the_index_can_be_read(client, path):
    before = index(client)
    refused = client.post(f"{MODELS}/shapes-scs/{path}", json={})
    assert_refused(refused, 403, "models are changed only by those who have a key; SCS_API_KEY is not set")
    assert index(client) == before


def test_who_does_not_know_the_key_changes_nothing(whole):
    for key in ("", "another-key-for-the-tests"):
        assert whole.post(f"{MODELS}/shapes-scs/unload", headers={"X-API-Key": key}).status_code == 401
    assert index(whole)["shapes-scs", "1"] == ("READY", "")


def test_the_loop_answers_while_a_model_is_loaded_and_loads_of_it_wait_in_line(keyed, serve_app, jpeg, monkeypatch):
    begun, finish, count = threading.Event(), threading.Event(), []

    def slow(*arguments):
        count.append(arguments)
        begun.set()
        assert finish.wait(60)
        return load_model(*arguments)

    with (
        serve_app(create_app(keyed)) as url,
        httpx.Client(base_url=url, headers={"X-API-Key": KEY}, timeout=60) as service,
        ThreadPoolExecutor(64) as threads,
    ):
        service.post(f"{MODELS}/shapes-conv/unload")
        monkeypatch.setattr("service.repository.loader.load_model", slow)
        try:
            loads = [threads.submit(service.post, f"{MODELS}/shapes-conv/load") for _ in range(60)]
            assert begun.wait(30)
            assert index(service)["shapes-conv", "1"] == ("LOADING", "")
            assert service.get("/v2/health/ready").status_code == 200
            assert service.post("/predict", content=jpeg).status_code == 200
            refused = service.post("/predict", content=jpeg, params={"model": "shapes-conv"})
            assert (refused.status_code, refused.json()["detail"]) == (
                503,
                "shapes-conv 1 is not available: it is being loaded",
            )
        finally:
            finish.set()
        assert {load.result(60).status_code for load in loads} == {200}
        assert len(count) == 1


def link_folder(folder, outside):
    shutil.rmtree(folder.parent)
    folder.parent.symlink_to(outside)


def link_version(folder, outside):
    shutil.rmtree(folder)
    folder.symlink_to(outside / "1")


def link_file(folder, outside):
    (folder / "model.onnx").unlink()
    (folder / "model.onnx").symlink_to(outside / "1/model.onnx")


def link_card(folder, outside):
    (folder / "card.json").unlink()
    (folder / "card.json").symlink_to(outside / "1/card.json")


def link_labels(folder, outside):
    (outside / "labels.json").write_text('{"stable": 1}')
    (folder.parent / "labels.json").symlink_to(outside / "labels.json")


def replace_file(folder, content):
    """A file whose digest is the one on the card, whatever it holds."""
    (folder / "model.onnx").write_bytes(content)
    change_card(folder, sha256=hashlib.sha256(content).hexdigest())


def external_data(folder, outside):
    graph = onnx.load_from_string((folder / "model.onnx").read_bytes())
    onnx.external_data_helper.set_external_data(graph.graph.initializer[0], "../../../elsewhere/secret")
    replace_file(folder, graph.SerializeToString())


def broken_file(folder, outside):
    replace_file(folder, b"this is no graph")


def another_digest(folder, outside):
    change_card(folder, sha256="0" * 64)


def no_card(folder, outside):
    (folder / "card.json").unlink()


def large_card(folder, outside):
    with (folder / "card.json").open("r+b") as file:
        file.truncate(LARGEST_CARD + 1)


def large_file(folder, outside):
    with (folder / "model.onnx").open("r+b") as file:
        file.truncate(LARGEST_MODEL + 1)


UNSAFE = {
    link_folder: "a link leads out of it",
    link_version: "a link leads out of it",
    link_file: "a link leads out of it",
    link_card: "a link leads out of it",
    link_labels: "a link leads out of it",
    external_data: "needs to be one file; it refers to others",
    broken_file: "could not be loaded",
    another_digest: "needs SHA-256 000000000000…",
    no_card: "needs a card.json",
    large_card: "card.json may have",
    large_file: "model.onnx may have",
}


@pytest.mark.parametrize(("damage", "reason"), UNSAFE.items(), ids=lambda each: getattr(each, "__name__", ""))
def test_what_is_not_safe_is_not_loaded_and_the_old_goes_on(service, copied, tmp_path, jpeg, damage, reason):
    outside = shutil.copytree(copied / "shapes-conv", tmp_path / "elsewhere" / "shapes-conv")
    damage(copied / "shapes-conv/1", outside)
    assert_refused(service.post(f"{MODELS}/shapes-conv/load"), 400, reason)
    assert service.post("/predict", content=jpeg, params={"model": "shapes-conv"}).status_code == 200
    assert reason in service.get("/models/shapes-conv").json()["reason"]

    service.post(f"{MODELS}/shapes-conv/unload")
    assert_refused(service.post(f"{MODELS}/shapes-conv/load"), 400, reason)
    refused = service.post("/predict", content=jpeg, params={"model": "shapes-conv"})
    assert refused.status_code == 503 and reason in refused.json()["detail"]
    assert not INSIDE.search(refused.json()["detail"])
    assert service.get("/v2/health/ready").status_code == 200


@pytest.mark.parametrize("name", ["../models", "%2e%2e", "..%2fmodels", "%00", "/etc/passwd", "shapes-scs/1", "a%0ab"])
@pytest.mark.parametrize("path", ["/predict?model={}", "/activations?model={}"])
def test_a_model_asked_for_by_a_path_is_not_there(whole, jpeg, path, name):
    answer = whole.post(path.format(name), content=jpeg)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert not re.search(r"/tmp|/home|\n", answer.json()["detail"])


@pytest.mark.parametrize("version", ["../1", "%2e%2e", "1%00", "/1", "-1", "01", "1.5", "9" * 19, "STABLE"])
def test_a_version_that_is_neither_number_nor_label_is_refused(whole, jpeg, version):
    for path in ("/predict", "/activations"):
        assert whole.post(f"{path}?version={version}", content=jpeg).status_code == 422
    assert whole.get(f"/models/shapes-scs?version={version}").status_code == 422


@pytest.mark.parametrize("name", ["%2e%2e", "%00", "..%5c..", "shapes-scs%00", "%2e%2e%2fmodels"])
def test_a_card_asked_for_by_a_path_is_not_there(whole, name):
    assert whole.get(f"/models/{name}").status_code == 404
