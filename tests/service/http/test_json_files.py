import asyncio
import base64

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from scs.errors import ImageError
from service.app import create_app
from service.http import json_files, match_upload, multipart, uploads
from service.http.json_files import MOST_MARKS, decode_base64
from service.http.multipart import parse_form
from service.http.routes import inference
from service.inference.event_loop import SMALL_JSON_BYTES

MIB = 2**20
JSON = {"content-type": "application/json"}
PARSERS = {"/predict": uploads, "/activations": uploads, "/match": match_upload}


def on_the_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


@pytest.fixture
def parsed(monkeypatch):
    """Whether each parsing of JSON, and each decoding of base64, was done on the event loop."""
    places = []

    def watched(module, name):
        function = getattr(module, name)

        def noted(*args):
            places.append(on_the_event_loop())
            return function(*args)

        monkeypatch.setattr(module, name, noted)

    for module in (uploads, match_upload):
        watched(module, "parse_json")
        watched(module, "decode_base64")
    watched(inference, "read_request")
    return places


def body_of(path: str, text: str) -> dict:
    if path == "/match":
        return {"scene": text, "template": text}
    if "infer" in path:
        return {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": [text]}]}
    return {"images": [text]}


@pytest.mark.parametrize("path", ["/predict", "/activations", "/match", "/v2/models/shapes-scs/infer"])
@pytest.mark.parametrize(("padding", "on_loop"), [(0, True), (SMALL_JSON_BYTES, False), (2 * MIB, False)])
def test_only_small_json_is_parsed_on_the_event_loop(threaded_client, encode, shapes, parsed, path, padding, on_loop):
    file = encode(shapes.test_images[0], "BMP") + bytes(padding)
    answer = threaded_client.post(path, json=body_of(path, base64.b64encode(file).decode()))
    assert answer.status_code == 200
    assert parsed and set(parsed) == {on_loop}


@pytest.mark.parametrize("path", sorted(PARSERS))
@pytest.mark.parametrize(("padding", "on_loop"), [(0, True), (SMALL_JSON_BYTES, False), (2 * MIB, False)])
def test_only_small_forms_are_parsed_on_the_event_loop(
    threaded_client, encode, shapes, monkeypatch, path, padding, on_loop
):
    places = []

    def noted(*args, **options):
        places.append(on_the_event_loop())
        return parse_form(*args, **options)

    monkeypatch.setattr(multipart, "parse_form", noted)
    file = encode(shapes.test_images[0], "BMP") + bytes(padding)
    fields = ("scene", "template") if path == "/match" else ("file",)
    answer = threaded_client.post(path, files=[(field, ("a.bmp", file)) for field in fields])
    assert answer.status_code == 200, answer.text
    assert places == [on_loop]


MANY = 200_000


@pytest.mark.parametrize("path", sorted(PARSERS))
@pytest.mark.parametrize(
    "body",
    [
        b'{"images":[' + b"1," * MANY + b"1]}",
        b'{"images":[' + b"[]," * MANY + b"[]]}",
        b'{"scene":"","template":[' + b"{}," * MANY + b"{}]}",
        b"{" + b",".join(b'"%x":1' % number for number in range(MANY)) + b"}",
        b"[" * MANY,
        b'{"scene":"","mask":' + b'["",' * MANY,
    ],
    ids=["numbers", "lists", "objects", "keys", "brackets", "deep"],
)
def test_json_of_many_values_is_refused_before_it_is_parsed(threaded_client, monkeypatch, path, body):
    monkeypatch.setattr(uploads.JsonImages, "model_validate_json", None)  # would raise
    monkeypatch.setattr(match_upload.JsonMatch, "model_validate_json", None)
    refused = threaded_client.post(path, content=body, headers=JSON)
    assert refused.status_code == 400
    assert f"at most {MOST_MARKS} commas and opening brackets" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"' + b"k" * MIB + b'":1}', "images: field required"),
        (b'{"images":[' + b"1" * MIB + b"]}", "out of range"),
        (b'{"images":"' + b"A" * MIB + b'"}', "valid array"),
        (b" " * MIB + b"{", "invalid json"),
    ],
    ids=["a long key", "a long number", "a long string", "blanks"],
)
def test_a_sentence_about_long_json_is_short(client, body, words):
    refused = client.post("/predict", content=body, headers=JSON)
    assert refused.status_code == 400
    assert words in refused.json()["detail"] and len(refused.json()["detail"]) < 300


KEY = "a-key-of-the-tests"


@pytest.fixture(scope="module")
def keyed(settings):
    locked = settings.model_copy(update={"api_key": SecretStr(KEY)})
    with TestClient(create_app(locked), headers={"x-api-key": KEY}) as client:
        yield client


@pytest.mark.parametrize("route", ["index", "models/shapes-scs/load", "models/shapes-scs/unload"])
def test_the_repository_reads_small_json_only(keyed, route):
    refused = keyed.post(f"/v2/repository/{route}", content=b'{"x":[' + b"[]," * SMALL_JSON_BYTES + b"[]]}")
    assert refused.status_code == 413 and f"may have {SMALL_JSON_BYTES} bytes" in refused.json()["error"]


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 5, 1000])
def test_base64_is_decoded_piece_by_piece(monkeypatch, length):
    monkeypatch.setattr(json_files, "_STEP", 8)
    content = bytes(range(256)) * 4
    assert decode_base64(base64.b64encode(content[:length]).decode()) == content[:length]


@pytest.mark.parametrize("text", ["=", "A", "AA=", "AAA", "AA==AAAA", "AAA=" * 2, "A A=", "!!!!", "äääå", "AAAA===="])
def test_what_is_not_base64_is_refused(monkeypatch, text):
    monkeypatch.setattr(json_files, "_STEP", 4)
    with pytest.raises(ImageError, match="need to be base64"):
        decode_base64(text)
