import base64
import gzip
import json
import threading
import time
import zlib

import numpy as np
import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.http.routes import inference
from service.oip.datatypes import read_byte_strings, write_byte_strings
from service.oip.json_codec import read_request, write_response

URL = "/v2/models/shapes-scs"
LENGTH = "inference-header-content-length"


@pytest.fixture(scope="module")
def images(shapes) -> np.ndarray:
    return shapes.test_images[:5]


@pytest.fixture(scope="module")
def logits(client, images) -> np.ndarray:
    return client.app.state.services.models.get("shapes-scs").runtime.logits(images)


def in_json(images, **changes) -> dict:
    tensor = {"name": "image", "datatype": "UINT8", "shape": list(images.shape), "data": images.tolist()}
    return {"inputs": [tensor | changes.pop("tensor", {})]} | changes


def in_binary(images, datatype="UINT8", raw=None, **changes) -> tuple[bytes, dict[str, str]]:
    raw = images.tobytes() if raw is None else raw
    tensor = {"name": "image", "datatype": datatype, "shape": list(images.shape)}
    tensor["parameters"] = {"binary_data_size": len(raw)}
    head = json.dumps({"inputs": [tensor]} | changes).encode()
    return head + raw, {LENGTH: str(len(head))}


def scores(answer) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    length = int(answer.headers.get(LENGTH, len(answer.content)))
    (output,) = json.loads(answer.content[:length])["outputs"]
    assert (output["name"], output["datatype"]) == ("logits", "FP32")
    values = np.frombuffer(answer.content[length:], "<f4") if "data" not in output else np.array(output["data"])
    return values.astype(np.float32).reshape(output["shape"])


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
def test_the_server_says_what_it_is(client, path):
    answer = client.get(path, follow_redirects=False).json()
    assert answer["name"] == "scs-serve" and answer["version"] == client.app.version
    assert {"binary_tensor_data", "classification", "statistics"} <= set(answer["extensions"])


@pytest.mark.parametrize("path", [URL, f"{URL}/versions/1"])
def test_a_model_says_what_its_tensors_are(client, path):
    assert client.get(path).json() == {
        "name": "shapes-scs",
        "versions": ["1"],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": "image", "datatype": "UINT8", "shape": [-1, -1, -1, 3]}],
        "outputs": [{"name": "logits", "datatype": "FP32", "shape": [-1, 3]}],
    }


@pytest.mark.parametrize("path", [f"{URL}/ready", f"{URL}/versions/1/ready"])
def test_a_model_that_can_be_asked_is_ready(client, path):
    answer = client.get(path)
    assert (answer.status_code, answer.json()) == (200, {"name": "shapes-scs", "ready": True})


@pytest.mark.parametrize("rest", ["", "/ready"])
@pytest.mark.parametrize("model", ["/v2/models/cat", f"{URL}/versions/9", f"{URL}/versions/stable"])
def test_what_is_not_there_is_404_with_an_error(client, model, rest):
    answer = client.get(model + rest)
    assert answer.status_code == 404 and list(answer.json()) == ["error"]


def test_unknown_routes_and_methods_below_v2_have_an_error_too(client):
    assert "there is no route" in client.get("/v2/cat").json()["error"]
    answer = client.get(f"{URL}/infer")
    assert answer.status_code == 405 and list(answer.json()) == ["error"]


@pytest.mark.parametrize("path", [f"{URL}/infer", f"{URL}/versions/1/infer"])
def test_images_in_json_get_the_networks_logits(client, images, logits, path):
    answer = client.post(path, json=in_json(images, id="seven"))
    assert np.allclose(scores(answer), logits, atol=1e-5)
    described = answer.json()
    assert (described["model_name"], described["model_version"], described["id"]) == ("shapes-scs", "1", "seven")
    assert answer.headers["content-type"] == "application/json"


def test_flat_and_nested_data_are_the_same(client, images):
    flat = in_json(images, tensor={"data": images.ravel().tolist()})
    assert client.post(f"{URL}/infer", json=flat).json() == client.post(f"{URL}/infer", json=in_json(images)).json()


@pytest.mark.parametrize("coding", [None, "gzip", "deflate"])
@pytest.mark.parametrize("binary_out", [False, True])
@pytest.mark.parametrize("binary_in", [False, True])
def test_binary_data_and_compression_change_no_logit(client, images, logits, binary_in, binary_out, coding):
    asked = {"parameters": {"binary_data_output": binary_out}}
    body, headers = in_binary(images, **asked) if binary_in else (json.dumps(in_json(images, **asked)).encode(), {})
    if coding:
        body = gzip.compress(body) if coding == "gzip" else zlib.compress(body)
        headers |= {"content-encoding": coding}
    answer = client.post(f"{URL}/infer", content=body, headers=headers)
    assert np.allclose(scores(answer), logits, atol=1e-5)
    assert (LENGTH in answer.headers) == binary_out
    assert answer.headers["content-type"] == ("application/octet-stream" if binary_out else "application/json")


def test_another_datatype_gives_the_same_logits(client, images, logits):
    body, headers = in_binary(images, "FP32", images.astype("<f4").tobytes())
    assert np.allclose(scores(client.post(f"{URL}/infer", content=body, headers=headers)), logits, atol=1e-5)


def test_encoded_pictures_are_classified_as_predict_does_it(client, encode, photograph):
    file = encode(photograph)
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [base64.b64encode(file).decode()]}
    outputs = [{"name": "logits", "parameters": {"classification": 3}}]
    answer = client.post(f"{URL}/infer", json={"inputs": [tensor], "outputs": outputs}).json()
    (output,) = answer["outputs"]
    predicted = client.post("/predict?model=shapes-scs&top_k=3", content=file).json()["predictions"][0]["classes"]
    assert [int(row.split(":")[1]) for row in output["data"]] == [row["index"] for row in predicted]
    body, headers = in_binary(np.empty(1), "BYTES", write_byte_strings([file]))
    assert scores(client.post(f"{URL}/infer", content=body, headers=headers)).shape == (1, 3)


def test_classes_come_best_first_with_score_index_and_label(client, images, logits, shapes):
    outputs = [{"name": "logits", "parameters": {"classification": 2, "binary_data": True}}]
    answer = client.post(f"{URL}/infer", json=in_json(images, outputs=outputs))
    length = int(answer.headers[LENGTH])
    (output,) = json.loads(answer.content[:length])["outputs"]
    assert (output["datatype"], output["shape"]) == ("BYTES", [5, 2])
    rows = [string.decode().split(":") for string in read_byte_strings(memoryview(answer.content)[length:], 10)]
    assert [int(index) for _, index, _ in rows] == np.argsort(-logits)[:, :2].ravel().tolist()
    assert all(label == shapes.classes[int(index)] for _, index, label in rows)
    assert np.allclose([float(score) for score, _, _ in rows], -np.sort(-logits)[:, :2].ravel(), atol=1e-5)


def test_more_classes_than_there_are_is_all_of_them(client, images):
    outputs = [{"name": "logits", "parameters": {"classification": 99}}]
    assert client.post(f"{URL}/infer", json=in_json(images, outputs=outputs)).json()["outputs"][0]["shape"] == [5, 3]


def test_more_images_than_a_batch_may_have_are_answered(settings, shapes):
    images = shapes.test_images[:50]
    with TestClient(create_app(settings.model_copy(update={"max_batch_size": 4, "max_queue": 8}))) as client:
        body, headers = in_binary(images)
        answer = client.post(f"{URL}/infer", content=body, headers=headers)
        assert np.allclose(scores(answer), client.app.state.services.models.get().runtime.logits(images), atol=1e-4)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_long_answer_is_compressed_as_the_client_asked(client, shapes, coding):
    body, headers = in_binary(shapes.test_images, parameters={"binary_data_output": True})
    plain = client.post(f"{URL}/infer", content=body, headers=headers | {"accept-encoding": "identity"})
    packed = client.post(f"{URL}/infer", content=body, headers=headers | {"accept-encoding": f"br, {coding};q=0.5"})
    assert "content-encoding" not in plain.headers and packed.headers["content-encoding"] == coding
    assert packed.headers["vary"] == "accept-encoding" and packed.content == plain.content
    assert packed.headers[LENGTH] == plain.headers[LENGTH]


@pytest.mark.parametrize("accept", ["identity", "gzip;q=0, br", "gzip; q=0.0", ""])
def test_an_answer_is_not_compressed_for_a_client_that_does_not_want_it(client, shapes, accept):
    body, headers = in_binary(shapes.test_images)
    answer = client.post(f"{URL}/infer", content=body, headers=headers | {"accept-encoding": accept})
    assert answer.status_code == 200 and "content-encoding" not in answer.headers


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_bomb_is_413(settings, coding):
    bomb = gzip.compress(bytes(2**26)) if coding == "gzip" else zlib.compress(bytes(2**26))
    with TestClient(create_app(settings.model_copy(update={"max_body_bytes": 2**20}))) as client:
        answer = client.post(f"{URL}/infer", content=bomb, headers={"content-encoding": coding})
    assert answer.status_code == 413 and "expands to more" in answer.json()["error"]


def test_an_unknown_compression_is_415_and_says_which_there_are(client):
    answer = client.post(f"{URL}/infer", content=b"{}", headers={"content-encoding": "br"})
    assert answer.status_code == 415 and "gzip or deflate; 'br' came" in answer.json()["error"]
    assert answer.headers["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize("length", ["-1", "1e3", "", "²", "9" * 40])
def test_a_header_length_that_is_none_is_400(client, images, length):
    body, _ = in_binary(images)
    answer = client.post(f"{URL}/infer", content=body, headers={LENGTH: length.encode()})
    assert answer.status_code == 400 and "Inference-Header-Content-Length" in answer.json()["error"]


@pytest.mark.parametrize(
    ("changes", "status", "sentence"),
    [
        ({"outputs": [{"name": "cat"}]}, 400, "one output, logits; 'cat' was asked for"),
        ({"outputs": [{"name": "logits"}] * 2}, 400, "an output is asked for once; logits was asked for 2 times"),
        ({"outputs": [{"name": "logits"}] * 20_000}, 400, "may have 16 outputs; 20000 came"),
        ({"tensor": {"shape": [2**63 - 1] * 40_000}}, 400, "'image' may have 8 dimensions; 40000 came"),
        ({"tensor": {"shape": [1] * 9}}, 400, "may have 8 dimensions; 9 came"),
        ({"tensor": {"shape": [2**63 - 1, 16, 16, 3]}}, 413, "may have 1048576 numbers, 349525 images of 3 classes"),
        ({"tensor": {"name": "cat"}}, 400, "one input, image; 'cat' came"),
        ({"tensor": {"datatype": "FLOAT"}}, 400, "a datatype is one of"),
        ({"tensor": {"shape": [5, 16, 16]}}, 400, "needs the shape"),
        ({"tensor": {"data": [0.5]}}, 400, "needs 3840 values; 1 came"),
        ({"tensor": {"shape": [1, 1, 1, 3], "data": [1, 2, 3]}}, 422, "the network needs"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_a_sentence(client, images, changes, status, sentence):
    answer = client.post(f"{URL}/infer", json=in_json(images, **changes))
    assert answer.status_code == status and sentence in answer.json()["error"]
    assert answer.headers["content-type"] == "application/json"


def test_more_inputs_than_any_network_has_are_refused(client, images):
    answer = client.post(f"{URL}/infer", json={"inputs": in_json(images[:1])["inputs"] * 17})
    assert answer.status_code == 400 and "a request may have 16 inputs; 17 came" in answer.json()["error"]


@pytest.mark.parametrize(("times", "on_loop"), [(1, True), (600, False)])
def test_a_large_answer_is_written_beside_the_event_loop(threaded_client, images, monkeypatch, times, on_loop):
    loop = threaded_client.portal.call(threading.get_ident)
    threads = []

    def noted(response):
        threads.append(threading.get_ident())
        return write_response(response)

    monkeypatch.setattr(inference, "write_response", noted)
    body, headers = in_binary(np.repeat(images, times, axis=0))
    assert len(scores(threaded_client.post(f"{URL}/infer", content=body, headers=headers))) == 5 * times
    assert (threads == [loop]) is on_loop


def test_torchscript_takes_binary_data_too(client, images):
    body, headers = in_binary(images)
    assert scores(client.post("/v2/models/shapes-script/infer", content=body, headers=headers)).shape == (5, 3)


def test_the_configuration_says_what_tritons_tools_need(client):
    config = client.get(f"{URL}/config").json()
    assert config == client.get(f"{URL}/versions/1/config").json()
    assert (config["max_batch_size"], config["backend"], config["platform"]) == (32, "onnxruntime", "onnxruntime_onnx")
    assert [(i["name"], i["data_type"], i["dims"]) for i in config["input"]] == [("image", "TYPE_UINT8", [-1, -1, 3])]
    assert [(o["name"], o["data_type"], o["dims"]) for o in config["output"]] == [("logits", "TYPE_FP32", [3])]
    assert "dynamic_batching" in config and config["model_transaction_policy"] == {"decoupled": False}


def test_the_statistics_count_requests_images_and_batches(client, images):
    def counts():
        answer = client.get(f"{URL}/stats").json()
        (model,) = answer["model_stats"]
        return model

    before = counts()
    for _ in range(3):
        body, headers = in_binary(images)
        scores(client.post(f"{URL}/infer", content=body, headers=headers))
    after = counts()
    assert (after["name"], after["version"]) == ("shapes-scs", "1")
    assert after["inference_count"] - before["inference_count"] == 15
    assert after["execution_count"] - before["execution_count"] == 3
    assert after["last_inference"] > 1.7e12
    for part in ("success", "queue", "compute_input", "compute_infer"):
        assert after["inference_stats"][part]["count"] - before["inference_stats"][part]["count"] == 3
        assert after["inference_stats"][part]["ns"] >= before["inference_stats"][part]["ns"]
    assert {part: each["count"] for part, each in after["inference_stats"].items() if "cache" in part} == {
        "cache_hit": 0,
        "cache_miss": 0,
    }
    fives = [each["compute_infer"]["count"] for each in after["batch_stats"] if each["batch_size"] == 5]
    assert fives and fives[0] >= 3


def test_all_statistics_are_those_of_every_model_that_can_be_asked(client):
    every = client.get("/v2/models/stats").json()["model_stats"]
    assert {"shapes-scs", "shapes-conv"} <= {each["name"] for each in every}
    assert client.get(f"{URL}/versions/1/stats").json()["model_stats"][0]["name"] == "shapes-scs"
    assert client.get("/v2/models/cat/stats").status_code == 404


def test_a_request_that_names_a_time_is_given_up_then(client, images, monkeypatch):
    runtime = client.app.state.services.models.get("shapes-conv").runtime
    run = runtime.logits
    monkeypatch.setattr(runtime, "logits", lambda given: (time.sleep(0.3), run(given))[1])
    path = "/v2/models/shapes-conv/infer"
    asked = in_json(images, parameters={"timeout": 50_000})
    client.post(path, json=in_json(images))  # from now on the engine knows that it is slow
    answer = client.post(path, json=asked)
    assert answer.status_code == 504 and "the time for this request is over" in answer.json()["error"]
    assert client.post(path, json=in_json(images)).status_code == 200


def test_the_description_has_the_protocol_in_it(client):
    paths = client.get("/openapi.json").json()["paths"]
    for path in ("/v2", "/v2/models/{name}", "/v2/models/{name}/ready", "/v2/models/{name}/versions/{version}/infer"):
        assert path in paths


def test_what_is_described_as_a_request_is_one(images):
    assert read_request(json.dumps(in_json(images, parameters={}, outputs=[])).encode()).inputs[0].name == "image"
