"""What models answer whose graphs take one size or one image, are not finite, share labels, or have no layers."""

import io

import numpy as np
import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from tests.service.hostile_models import NAN_AT_9, PLAIN, put

MAPS = "q = Transpose <perm = [0, 3, 1, 2]> (f) maps = Concat <axis = 1> (q, q) "
LAYER = {"name": "a", "tensor": "maps", "channels": 2, "signed": False}
LAYER["receptive_field"] = {"size": 1, "stride": 1, "offset": 0}
NAN_LAYER = "nine = Constant <value = float {9.0}> () off = Sub (f, nine) one = Div (off, off) " + (
    "b = Mul (f, one) q = Transpose <perm = [0, 3, 1, 2]> (b) maps = Concat <axis = 1> (q, q) logits = Identity (means)"
)
NO_CLASSES = "none = Constant <value = int64[1] {0}> () one = Constant <value = int64[1] {1}> () " + (
    "logits = Slice (means, none, none, one)"
)
NINE, EIGHT = np.full((8, 8, 1), 9, np.uint8), np.full((8, 8, 1), 8, np.uint8)
MAP = {"layers": [LAYER], "class_map": "a", "class_bias": [0, 0]}


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("careless")
    for name, shape in (("any", "N,H,W"), ("fixed", "N,8,8"), ("single", "1,H,W"), ("both", "1,8,8")):
        put(folder, name, MAPS + PLAIN, taken=shape, **MAP)
    put(folder, "nan", NAN_AT_9)
    put(folder, "nan-layer", NAN_LAYER, layers=[LAYER])
    put(folder, "twins", MAPS + PLAIN, **MAP, labels=["crane", "crane"])
    put(folder, "digits", MAPS + PLAIN, **MAP, labels=["1", "0"])
    put(folder, "path", MAPS + PLAIN, **MAP, labels=["../../tmp/evil\0", "a\nb\x1b[2J"])
    put(folder, "no-classes", MAPS + NO_CLASSES, layers=[LAYER], labels=[])
    settings = Settings(model_repository=folder, default_model="any", device="cpu", grpc_port=0)
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        assert {each["name"]: each["reason"] for each in client.get("/models").json()["models"] if each["reason"]} == {}
        yield client


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def infer(client, model, images, **more):
    tensor = {"name": "image", "datatype": "UINT8", "shape": images.shape, "data": images.ravel().tolist()}
    return client.post(f"/v2/models/{model}/infer", json={"inputs": [tensor], **more})


@pytest.mark.parametrize("model", ["any", "fixed", "single", "both"])
def test_several_pictures_are_answered_whatever_the_graph_takes(client, model):
    batch = np.stack([np.full((8, 8, 1), value, np.uint8) for value in (3, 200, 9)])
    assert infer(client, model, batch).json()["outputs"][0]["data"] == [3, 3, 200, 200, 9, 9]
    answer = client.post(f"/predict?model={model}", content=npy(batch))
    assert answer.status_code == 200 and len(answer.json()["predictions"]) == 3


@pytest.mark.parametrize("model", ["fixed", "both"])
def test_another_size_than_the_graph_takes_is_one_sentence(client, model, encode):
    png = encode(np.zeros((20, 30), np.uint8))
    assert client.post(f"/predict?model={model}", content=png).status_code == 200
    assert client.post(f"/activations?model={model}", content=png).status_code == 200
    for route, name in (
        ("/predict?resize=none", "30x20"),
        ("/predict?resize=16", "16x11"),
        ("/activations?resize=none", "30x20"),
    ):
        answer = client.post(f"{route}&model={model}", content=png)
        assert answer.status_code == 400 and answer.json()["type"] == "/problems/fixed-size"
        assert answer.json()["detail"].startswith("the network takes pictures of 8x8 only; ") and name in answer.text
    answer = infer(client, model, np.zeros((2, 9, 8, 1), np.uint8))
    assert answer.status_code == 400 and "takes pictures of 8x8 only; picture 'image' is 8x9" in answer.json()["error"]
    files = {"file": ("a.png", png), "template": ("b.png", png)}
    assert client.post(f"/activations?model={model}", files=files).status_code == 400
    assert client.post(f"/activations?model={model}&box=0,0,5,5", content=png).status_code == 200


def test_what_a_graph_takes_is_said(client):
    shapes = {
        name: client.get(f"/v2/models/{name}").json()["inputs"][0]["shape"] for name in ("any", "fixed", "single")
    }
    assert shapes == {"any": [-1, -1, -1, 1], "fixed": [-1, 8, 8, 1], "single": [-1, -1, -1, 1]}
    assert client.get("/v2/models/both/config").json()["max_batch_size"] == 1
    card = client.get("/models/both").json()["card"]
    assert card["input"]["fixed"] and card["serving"]["max_batch_size"] == 1


def test_a_model_without_classes_has_no_output_in_the_protocol_and_says_why(client):
    assert client.get("/v2/models/no-classes").json()["outputs"] == []
    assert client.get("/v2/models/no-classes/config").json()["output"] == []
    answer = infer(client, "no-classes", np.zeros((1, 8, 8, 1), np.uint8))
    assert (
        answer.status_code == 422 and "no-classes has no classes: it is served for its layers" in answer.json()["error"]
    )
    assert client.post("/activations?model=no-classes", content=npy(EIGHT)).status_code == 200


def test_logits_that_are_not_finite_are_a_problem_that_says_so(client):
    assert client.post("/predict?model=nan", content=npy(EIGHT)).status_code == 200
    answers = [client.post(f"{route}?model=nan", content=npy(NINE)) for route in ("/predict", "/activations")]
    for answer in answers:
        assert answer.status_code == 500 and answer.json()["type"] == "/problems/not-finite"
        assert "nan 1 gave logits that are not finite (NaN or infinite) for this image" in answer.json()["detail"]
    classes = {"outputs": [{"name": "logits", "parameters": {"classification": 2}}]}
    binary = {"outputs": [{"name": "logits", "parameters": {"binary_data": True}}]}
    for wanted in ({}, classes, binary):
        answer = infer(client, "nan", NINE[None], **wanted)
        assert answer.status_code == 500 and "not finite" in answer.json()["error"]


def test_one_picture_that_is_not_finite_fails_no_other_request(client):
    both = npy(np.stack([EIGHT, NINE]))
    assert client.post("/predict?model=nan", content=both).status_code == 500
    assert client.post("/predict?model=nan", content=npy(EIGHT)).status_code == 200


@pytest.mark.parametrize("accept", ["application/json", "image/png", "application/x-npz"])
def test_maps_that_are_not_finite_are_a_problem_in_every_form(client, accept):
    answer = client.post("/activations?model=nan-layer", content=npy(NINE), headers={"accept": accept})
    assert answer.status_code == 500 and "values of the layer 'a' that are not finite" in answer.json()["detail"]


def test_classes_that_share_a_label_are_asked_for_by_number(client):
    answer = client.post("/activations?model=twins&class=crane", content=npy(EIGHT))
    assert answer.status_code == 422
    assert answer.json()["detail"] == "2 classes of twins are called 'crane'; ask for one by its number: #0, #1"
    for wanted in ("1", "%231"):
        answer = client.post(f"/activations?model=twins&class={wanted}", content=npy(EIGHT))
        assert answer.json()["class_map"]["index"] == 1
    assert client.post("/activations?model=twins&class=2", content=npy(EIGHT)).status_code == 404


def test_a_label_that_is_a_number_comes_before_the_number(client):
    found = {
        wanted: client.post(f"/activations?model=digits&class={wanted}", content=npy(EIGHT)).json()["class_map"][
            "index"
        ]
        for wanted in ("1", "0", "%231", "%230")
    }
    assert found == {"1": 0, "0": 1, "%231": 1, "%230": 0}


@pytest.mark.parametrize("number", [0, 1])
def test_labels_that_are_paths_make_none_of_an_answer(client, number):
    headers = {"accept": "application/x-npz"}
    answer = client.post(f"/activations?model=path&class=%23{number}", content=npy(EIGHT), headers=headers)
    (name,) = [name for name in np.load(io.BytesIO(answer.content)) if name.startswith("class:")]
    assert name == ["class:.._.._tmp_evil_x00", "class:a_nb_x1b[2J"][number]
    sheet = client.post("/activations?model=path", content=npy(EIGHT), headers={"accept": "image/png"})
    assert sheet.status_code == 200


@pytest.mark.parametrize("accept", ["application/json", "image/png", "application/x-npz"])
def test_a_model_without_layers_answers_in_every_form(client, accept):
    assert client.post("/activations?model=nan", content=npy(EIGHT), headers={"accept": accept}).status_code == 200
