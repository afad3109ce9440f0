import json
import shutil
import sys

import pytest
from fastapi.testclient import TestClient

from models.cards.card import ModelCard
from models.onnx import native
from service.app import create_app


@pytest.fixture
def copied(repository, tmp_path):
    """The small models in a folder that a test may damage."""
    return shutil.copytree(repository, tmp_path / "models")


@pytest.fixture
def serving(settings, copied):
    """The service over those, not yet started."""
    return TestClient(create_app(settings.model_copy(update={"model_repository": copied})))


def predict(client, jpeg, **options):
    return client.post("/predict", content=jpeg, params=options)


def state(client, name, version=1):
    states = {(each["name"], each["version"]): each for each in client.get("/models").json()["models"]}
    return states[name, version]


def test_every_model_is_listed_with_where_it_runs_and_which_is_the_default(client):
    listed = client.get("/models").json()["models"]

    assert [each["name"] for each in listed] == ["shapes-conv", "shapes-script", "shapes-scs"]
    for each in listed:
        assert each["available"] is True
        assert (each["version"], each["device"], each["reason"]) == (1, "cpu", None)
        assert each["default"] == (each["name"] == "shapes-scs")


def test_a_model_says_what_computes_its_scs_layers(client):
    kernels = {each["name"]: each["kernels"] for each in client.get("/models").json()["models"]}

    assert kernels["shapes-scs"] == ("native" if native.available() else "portable")
    assert (kernels["shapes-conv"], kernels["shapes-script"]) == (None, None)


def test_a_model_has_its_card(client, repository):
    detail = client.get("/models/shapes-conv").json()
    card = ModelCard.model_validate_json((repository / "shapes-conv/1/card.json").read_bytes())

    assert ModelCard.model_validate(detail["card"]) == card
    assert (detail["name"], detail["version"], detail["available"], detail["device"]) == ("shapes-conv", 1, True, "cpu")


def test_a_version_may_be_named(client):
    assert client.get("/models/shapes-scs", params={"version": 1}).json() == client.get("/models/shapes-scs").json()


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/models/cat", 404, "no model 'cat'; there are: shapes-conv, shapes-script, shapes-scs"),
        ("/models/shapes-scs?version=9", 404, "no version 9 of shapes-scs; there are: 1"),
        ("/models/shapes-scs?version=0", 422, "version"),
        ("/models/shapes-scs?version=x", 404, "no version x of shapes-scs; there are: 1"),
        ("/models/shapes-scs?version=../1", 422, "version"),
    ],
)
def test_a_model_or_version_that_is_not_there_is_a_problem(client, path, status, words):
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert words in answer.json()["detail"]


def test_the_newest_version_answers_unless_another_is_named(serving, copied, jpeg):
    shutil.copytree(copied / "shapes-scs/1", copied / "shapes-scs/10")
    card = copied / "shapes-scs/10/card.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), "version": 10}))
    with serving as client:
        assert predict(client, jpeg).json()["version"] == 10
        assert predict(client, jpeg, version=1).json()["version"] == 1
        assert client.get("/models/shapes-scs").json()["version"] == 10


def test_a_tampered_file_is_unavailable_with_the_reason_while_other_models_answer(serving, copied, jpeg):
    path = copied / "shapes-conv/1/model.onnx"
    path.write_bytes(path.read_bytes() + b"\0")
    with serving as client:
        broken = state(client, "shapes-conv")
        assert (broken["available"], broken["device"]) == (False, None)
        assert "SHA-256" in broken["reason"]
        assert str(copied) not in broken["reason"]
        assert client.get("/models/shapes-conv").json()["card"]["name"] == "shapes-conv"
        assert client.get("/v2/health/ready").status_code == 503

        refused = predict(client, jpeg, model="shapes-conv")
        assert refused.status_code == 503
        assert refused.headers["content-type"] == "application/problem+json"
        assert "SHA-256" in refused.json()["detail"]
        assert predict(client, jpeg).status_code == 200


def test_a_model_whose_card_is_broken_is_listed_without_it(serving, copied, jpeg):
    (copied / "shapes-conv/1/card.json").write_text("{}")
    with serving as client:
        detail = client.get("/models/shapes-conv").json()
        assert (detail["available"], detail["card"]) == (False, None)
        assert "card.json is not a model's card" in detail["reason"]
        assert predict(client, jpeg).status_code == 200


def test_without_torch_a_torchscript_model_is_unavailable_and_the_rest_ready(serving, jpeg, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # what makes `import torch` fail
    with serving as client:
        script = state(client, "shapes-script")
        assert script["available"] is False
        assert "torch, which is not installed" in script["reason"]
        assert client.get("/models/shapes-script").json()["card"]["format"] == "torchscript"
        assert client.get("/v2/health/ready").status_code == 200
        assert predict(client, jpeg).status_code == 200
        refused = predict(client, jpeg, model="shapes-script")
        assert refused.status_code == 503
        assert "torch" in refused.json()["detail"]


@pytest.mark.parametrize("resize", ["card", "none"])
def test_a_torchscript_model_predicts_what_its_onnx_twin_does(client, jpeg, resize):
    twins = [predict(client, jpeg, model=name, resize=resize).json() for name in ("shapes-scs", "shapes-script")]
    onnx, script = ([each["probability"] for each in twin["predictions"][0]["classes"]] for twin in twins)
    assert script == pytest.approx(onnx, abs=1e-5)
    assert twins[1]["model"] == "shapes-script"


def test_a_torchscript_model_shows_the_layers_that_its_onnx_twin_does(client, jpeg):
    options = {"class": "disc", "box": "100,80,60,50", "channels": "0,1"}
    onnx, script = (
        client.post("/activations", content=jpeg, params={**options, "model": name}).json()
        for name in ("shapes-scs", "shapes-script")
    )
    assert script["class_map"]["logit"] == pytest.approx(onnx["class_map"]["logit"], abs=1e-4)
    for a, b in zip(onnx["layers"], script["layers"], strict=True):
        assert (a["name"], a["shape"], a["receptive_field"]) == (b["name"], b["shape"], b["receptive_field"])
        energies = [{each["channel"]: each["energy"] for each in layer["energies"]} for layer in (a, b)]
        assert energies[1] == pytest.approx(energies[0], rel=1e-3)
        assert a["match"]["peaks"][0] == pytest.approx(b["match"]["peaks"][0], abs=1e-4)
