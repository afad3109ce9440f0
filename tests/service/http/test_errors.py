"""Whatever is wrong with a request: the answer says what was needed and what came, and the service goes on."""

import asyncio
import base64
import io
import json
import logging
import re
import struct
import zlib

import numpy as np
import pytest
from fastapi.testclient import TestClient

from scs.errors import ImageError, ScsError, ShapeError, UnsupportedImageError
from service.app import create_app
from service.http.problems import STATUSES, status_of
from service.http.uploads import MAX_FILES

# Paths, stack traces, and names that mean something only to those who read the code.
INSIDE = re.compile(
    r"/tmp|/home|/usr|site-packages|\.py\b|Traceback|object at 0x|BytesIO"
    r"|\b(service|models|scs|PIL|onnxruntime|starlette|pydantic|numpy)\.[a-z_]"
)


def png_header(width, height):
    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def as_type(kind):
    return {"content-type": kind}


def assert_problem(response, status, *words):
    problem = response.json()
    assert response.status_code == status, problem
    assert response.headers["content-type"] == "application/problem+json"
    assert set(problem) == {"type", "title", "status", "detail"}
    assert problem["status"] == status
    assert problem["title"]
    assert not INSIDE.search(problem["detail"]), problem["detail"]
    assert "\n" not in problem["detail"]
    for word in words:
        assert word in problem["detail"]


FORM = "multipart/form-data; boundary=x"
FORM_HEAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'

# How a body is sent, the status, and words of the sentence that comes back.
JPEG = object()  # stands for the photograph
BODIES = {
    "an empty body": ({"content": b""}, 400, ["an empty one came"]),
    "an empty body of JSON": ({"content": b"", "headers": as_type("application/json")}, 400, ["an empty one came"]),
    "a PNG header of 50,000 x 50,000": ({"content": png_header(50_000, 50_000)}, 413, ["50000x50000", "50000000"]),
    "a header of a PNG and no pixels": ({"content": png_header(50, 50)}, 400, ["truncated or damaged"]),
    "a text file": ({"content": b"hello", "headers": as_type("text/plain")}, 415, ["image/*", "text/plain came"]),
    "text that says it is a JPEG": ({"content": b"hello", "headers": as_type("image/jpeg")}, 415, ["JPEG, PNG"]),
    "a form sent as a form of a web page": ({"data": {"file": "cat"}}, 415, ["multipart/form-data"]),
    "a form without a file": ({"files": {"template": b"x"}}, 400, ["at least one file"]),
    "a form whose file is text": ({"data": {"file": "cat"}, "files": {"template": b"x"}}, 400, ["needs to be a file"]),
    "a form with another field": ({"data": {"colour": "red"}, "files": {"file": b"x"}}, 400, ["'colour' came"]),
    "a form with two templates": (
        {"files": [("file", b"x"), ("template", b"x"), ("template", b"x")]},
        400,
        ["one template; 2 came"],
    ),
    "a form with an empty file": ({"files": {"file": ("cat.png", b"")}}, 400, ["no bytes"]),
    "a form with one file too many": ({"files": [("file", JPEG)] * (MAX_FILES + 1)}, 413, [f"{MAX_FILES} images"]),
    "a form with two files too many": ({"files": [("file", JPEG)] * (MAX_FILES + 2)}, 413, [f"{MAX_FILES} images"]),
    "a form with many files too many": ({"files": [("file", JPEG)] * 200}, 413, [f"{MAX_FILES} images"]),
    "a form with very many words": ({"files": {"file": b"x"}, "data": {"a": ["b"] * 99}}, 400, ["need to be files"]),
    "a form with a very long word": ({"files": {"file": b"x"}, "data": {"a": "b" * 2**21}}, 400, ["need to be files"]),
    "a form of nameless parts": (
        {"content": b"--x\r\nContent-Type: image/png\r\n\r\n\r\n--x--\r\n", "headers": as_type(FORM)},
        400,
        ["needs a name"],
    ),
    "a form whose part has a long header": (
        {"content": b"--x\r\nX: " + b"x" * 9000 + FORM_HEAD[3:] + b"x\r\n--x--\r\n", "headers": as_type(FORM)},
        400,
        ["few and short"],
    ),
    "a form whose part has many headers": (
        {"content": b"--x\r\n" + b"X: x\r\n" * 99 + FORM_HEAD[5:] + b"x\r\n--x--\r\n", "headers": as_type(FORM)},
        400,
        ["few and short"],
    ),
    "an address of a picture": ({"json": {"images": ["http://127.0.0.1/cat.png"]}}, 400, ["base64"]),
    "an address of a file": ({"content": b"file:///etc/passwd", "headers": as_type("image/png")}, 415, ["JPEG, PNG"]),
    "a compressed body": (
        {"content": b"x", "headers": {"content-encoding": "gzip"}},
        415,
        ["sent as it is", "'gzip' came"],
    ),
    "a body compressed twice": (
        {"content": b"x", "headers": {"content-encoding": "gzip, br"}},
        415,
        ["sent as it is", "'gzip, br' came"],
    ),
    "a form without a boundary": ({"content": b"--x", "headers": as_type("multipart/form-data")}, 400, ["boundary"]),
    "JSON that is none": ({"content": b"{", "headers": as_type("application/json")}, 400, ["JSON needs to be"]),
    "JSON of another kind": ({"json": ["cat"]}, 400, ["JSON needs to be", "images"]),
    "JSON with another field": ({"json": {"images": ["eA=="], "colour": "red"}}, 400, ["colour"]),
    "JSON without pictures": ({"json": {"images": []}}, 400, ["images"]),
    "JSON with one picture too many": ({"json": {"images": ["eA=="] * (MAX_FILES + 1)}}, 413, [f"{MAX_FILES} images"]),
    "base64 that is none": ({"json": {"images": ["what? this!"]}}, 400, ["base64"]),
    "base64 cut short": ({"json": {"images": ["eA"]}}, 400, ["base64"]),
    "base64 with an umlaut": ({"json": {"images": ["eÄ=="]}}, 400, ["base64"]),
    "base64 of nothing": ({"json": {"images": [""]}}, 400, ["no bytes"]),
    "base64 of text": ({"json": {"images": [base64.b64encode(b"hello").decode()]}}, 415, ["JPEG, PNG"]),
    "an array that is none": ({"content": b"hello", "headers": as_type("application/x-npy")}, 415, [".npy"]),
    "an array of floats": ({"content": npy(np.zeros((9, 9))), "headers": as_type("application/x-npy")}, 415, ["uint8"]),
    "an array of another shape": (
        {"content": npy(np.zeros((2, 2, 2), np.uint8)), "headers": as_type("application/x-npy")},
        400,
        ["(2, 2, 2)"],
    ),
}
OPTIONS = {
    "an unknown model": ({"model": "bird"}, 404, ["no model 'bird'; there are: shapes-conv, shapes-s"]),
    "a model named by a path": ({"model": "../../etc/passwd"}, 404, ["there are: shapes-conv"]),
    "an unknown version": ({"version": 7}, 404, ["no version 7 of shapes-scs; there are: 1"]),
    "a version of zero": ({"version": 0}, 422, ["version", "'0' came"]),
    "a version that can be neither number nor label": ({"version": "../1"}, 422, ["version", "'../1' came"]),
    "an unknown label": ({"version": "new"}, 404, ["no version new of shapes-scs; there are: 1"]),
    "an unknown option": ({"topk": 3}, 422, ["there is no option topk; /docs lists those"]),
    "a top_k that is no number": ({"top_k": "x"}, 422, ["top_k", "integer", "'x' came"]),
    "a top_k of zero": ({"top_k": 0}, 422, ["top_k", "'0' came"]),
    "a resize that is neither": ({"resize": "big"}, 422, ["resize", "'big' came"]),
    "a resize to nothing": ({"resize": "0"}, 422, ["resize", "'0' came"]),
    "a resize to far too much": ({"resize": "99999"}, 413, ["99999x66518", "at most 50000000"]),
    "a picture too small once resized": ({"resize": "3"}, 422, ["needs 4 pixels on a side; picture '0' is 3x2"]),
}


@pytest.fixture(scope="module")
def small_limits(settings):
    return settings.model_copy(update={"max_body_bytes": 100_000, "max_pixels": 20_000})


@pytest.fixture(scope="module")
def strict(small_limits):
    """The service with small limits."""
    with TestClient(create_app(small_limits), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def unmoved(client, jpeg):
    """A good request is answered after the test as it was before."""

    def answer():
        good = client.post("/predict", content=jpeg)
        assert good.status_code == 200
        return good.json()["predictions"]

    before = answer()
    yield
    assert answer() == before


@pytest.mark.parametrize(("sent", "status", "words"), BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("route", ["/predict", "/activations"])
def test_a_body_that_is_no_picture_is_a_problem_and_moves_nothing(client, jpeg, unmoved, route, sent, status, words):
    if "files" in sent and isinstance(sent["files"], list):
        sent = {**sent, "files": [(field, jpeg if content is JPEG else content) for field, content in sent["files"]]}
    assert_problem(client.post(route, **sent), status, *words)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the parser leaves the file to Python
def test_a_form_cut_short_is_a_problem(client, unmoved):
    assert_problem(client.post("/predict", content=FORM_HEAD + b"\x89PN", headers=as_type(FORM)), 400)


@pytest.mark.parametrize("charset", ["hex", "nothing", "utf-16"])
def test_a_form_in_an_odd_character_set_is_a_problem(client, unmoved, charset):
    refused = client.post(
        "/predict", content=FORM_HEAD + b"x\r\n--x--\r\n", headers=as_type(f"{FORM}; charset={charset}")
    )
    assert refused.status_code in (400, 415)
    assert_problem(refused, refused.status_code)


@pytest.mark.parametrize("part", [0.01, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("options", [{"resize": "card"}, {"resize": "none"}])
def test_a_truncated_jpeg_is_a_problem_and_moves_nothing(client, jpeg, unmoved, part, options):
    refused = client.post("/predict", content=jpeg[: int(len(jpeg) * part)], params=options)
    assert_problem(refused, 400, "truncated")


@pytest.mark.parametrize(("options", "status", "words"), OPTIONS.values(), ids=OPTIONS)
def test_a_wrong_option_is_a_problem_that_names_it_and_what_came(client, jpeg, unmoved, options, status, words):
    assert_problem(client.post("/predict", content=jpeg, params=options), status, *words)


def test_one_bad_picture_among_good_ones_is_a_problem_that_says_which(client, jpeg, unmoved):
    refused = client.post("/predict", files=[("file", jpeg), ("file", jpeg[:2000]), ("file", jpeg)])
    assert_problem(refused, 400, "number 2 of 3", "truncated")


def test_a_template_sent_to_predict_is_a_problem_and_not_passed_over(client, jpeg, unmoved):
    assert_problem(client.post("/predict", files={"file": jpeg, "template": jpeg}), 422, "/activations")


def test_as_many_files_as_are_allowed_are_answered(client, encode, shapes):
    pictures = [encode(image) for image in shapes.test_images[:MAX_FILES]]
    answer = client.post("/predict", files=[("file", picture) for picture in pictures])
    assert len(answer.json()["predictions"]) == MAX_FILES


def test_an_unknown_route_is_a_problem(client):
    assert_problem(client.get("/cats"), 404, "GET /cats", "/docs")


def test_a_wrong_method_is_a_problem_that_names_the_right_one(client):
    refused = client.get("/predict")
    assert_problem(refused, 405)
    assert refused.headers["allow"] == "POST"


def test_a_picture_of_too_many_pixels_is_refused_before_any_is_decoded(
    small_limits, in_threads, jpeg, encode, photograph, monkeypatch
):
    def decoded(*_):
        raise AssertionError("pixels were decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decoded)
    bodies = jpeg, encode(photograph[:200, :200]), encode(photograph, "WEBP"), encode(photograph[:150], "GIF")
    with TestClient(create_app(small_limits), raise_server_exceptions=False) as client:
        for body in bodies:
            assert_problem(client.post("/predict", content=body), 413, "at most 20000 are allowed")


def run_asgi(app, headers, receive):
    """Send one POST to an application without a server in between; its status and its problem."""
    sent = []

    async def send(message):
        sent.append(message)

    async def receive_unless_answered():
        if any(message["type"] == "http.response.body" for message in sent):
            return {"type": "http.disconnect"}
        return await receive()

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/predict",
        "raw_path": b"/predict",
        "query_string": b"",
        "headers": [(b"host", b"localhost"), *headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "app": app,
    }
    asyncio.run(app(scope, receive_unless_answered, send))
    start = sent[0]
    body = b"".join(message.get("body", b"") for message in sent)
    return start["status"], dict(start["headers"]), json.loads(body)


def test_a_body_declared_too_large_is_refused_before_a_byte_of_it_is_read(strict):
    async def receive():
        raise AssertionError("the body was read")

    status, headers, problem = run_asgi(strict.app, [(b"content-length", b"100001")], receive)

    assert status == problem["status"] == 413
    assert "100000 bytes; at least 100001 came" in problem["detail"]
    assert headers[b"connection"] == b"close"  # what is still on its way is not taken for another request


@pytest.mark.parametrize("kind", [b"image/png", b"application/json", FORM.encode()])
def test_a_body_without_end_is_refused_as_soon_as_it_is_too_large(strict, kind):
    received = []

    async def receive():
        chunk = bytes(10_000) if received else FORM_HEAD
        received.append(len(chunk))
        return {"type": "http.request", "body": chunk, "more_body": True}

    status, headers, problem = run_asgi(strict.app, [(b"content-type", kind)], receive)

    assert status == 413
    assert headers[b"content-type"] == b"application/problem+json"
    assert "100000 bytes" in problem["detail"]
    assert sum(received) <= 120_000


def test_a_body_as_large_as_is_allowed_is_read(strict, encode, photograph):
    body = encode(photograph[:100, :100])
    assert strict.post("/predict", content=body + bytes(100_000 - len(body))).status_code == 200


def test_a_large_body_sent_in_pieces_to_a_real_server_is_refused_and_the_next_request_answered(strict, serve_app, jpeg):
    import httpx2 as httpx

    app = create_app(strict.app.state.services.settings.model_copy(update={"max_pixels": 10**6}))
    with serve_app(app) as url, httpx.Client(base_url=url, timeout=30) as client:
        refused = client.post("/predict", content=(bytes(10_000) for _ in range(50)))
        assert_problem(refused, 413, "100000 bytes")
        assert client.post("/predict", content=jpeg).status_code == 200


def test_what_nobody_foresaw_is_a_problem_that_tells_nothing_and_a_log_that_tells_all(
    client, jpeg, unmoved, monkeypatch, caplog
):
    def broken(*_):
        raise RuntimeError("the secret in /etc/secret")

    with monkeypatch.context() as patched, caplog.at_level(logging.ERROR):
        patched.setattr("service.tasks.predict.to_predictions", broken)
        refused = client.post("/predict", content=jpeg)

    assert_problem(refused, 500, "was logged")
    assert "secret" not in refused.text
    (record,) = (record for record in caplog.records if record.name == "service.http.problems")
    assert "POST /predict" in record.getMessage()
    assert "the secret in /etc/secret" in str(record.exc_info[1])


def test_an_error_has_the_status_of_its_own_class_or_of_the_nearest_above():
    class NarrowerError(UnsupportedImageError):
        pass

    assert (status_of(ImageError("")), status_of(UnsupportedImageError("")), status_of(NarrowerError(""))) == (
        400,
        415,
        415,
    )
    assert status_of(ShapeError("")) == 422
    assert status_of(ScsError("")) == 500


def test_every_status_in_the_table_is_documented(client):
    documented = client.get("/openapi.json").json()["paths"]["/match"]["post"]["responses"]
    assert {str(status.value) for status in STATUSES.values()} < set(documented)


def test_an_array_is_known_by_its_first_bytes_where_the_client_does_not_say(client, photograph):
    answer = client.post("/predict", content=npy(photograph), headers={"content-type": "application/octet-stream"})
    assert answer.status_code == 200
