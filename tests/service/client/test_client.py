import asyncio
import io
import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from scs.errors import OptionError, ProblemError, ServerError, UnknownNameError
from service.api.activations import ActivationOptions
from service.api.files import NamedBytes, Upload
from service.app import create_app
from service.client import AsyncClient, Client, questions


@pytest.fixture(scope="module")
def url(settings, serve_app):
    with serve_app(create_app(settings)) as url:
        yield url


@pytest.fixture
def asking(url):
    with Client(url) as client:
        yield client


@pytest.fixture
def sent(asking, monkeypatch):
    """Size of the body, and the address, of every request."""
    requests = []
    exchange = asking._exchange

    def counted(request):
        requests.append((int(request.headers.get("content-length", 0)), str(request.url)))
        return exchange(request)

    monkeypatch.setattr(asking, "_exchange", counted)
    return requests


def test_a_prediction_is_that_of_the_service(asking, client, jpeg, tmp_path):
    path = tmp_path / "cat.jpg"
    path.write_bytes(jpeg)
    answer = asking.predict(path, top_k=2)
    expected = client.post("/predict", content=jpeg, params={"top_k": 2}).json()["predictions"][0]["classes"]

    assert (answer.name, answer.model, answer.width, answer.height) == ("cat.jpg", "shapes-scs", 451, 300)
    assert [(each.label, each.probability) for each in answer.classes] == [
        (each["label"], each["probability"]) for each in expected
    ]
    assert answer.label == expected[0]["label"]


def test_every_kind_of_picture_is_sent_as_the_same_pixels(asking, photograph, encode, tmp_path):
    png = encode(photograph)
    path = tmp_path / "cat.png"
    path.write_bytes(png)
    pictures = [png, bytearray(png), memoryview(png), path, str(path), io.BytesIO(png), photograph]
    answers = asking.predict_all([*pictures, Image.fromarray(photograph)], model="shapes-conv", version=1)

    assert [each.name for each in answers] == [
        *("picture 0", "picture 1", "picture 2", "cat.png", "cat.png", "picture 5", "picture 6", "picture 7")
    ]
    first = [each.probability for each in answers[0].classes]
    assert all([each.probability for each in answer.classes] == first for answer in answers)


def test_activations_are_the_arrays_of_the_service(asking, client, jpeg):
    options = {"layers": ["stem", "block2"], "channels": [0, 3], "box": (100, 80, 60, 50), "peaks": 2, "resize": 200}
    seen = asking.activations(jpeg, class_="disc", **options)
    texts = {"layers": "stem,block2", "channels": "0,3", "box": "100,80,60,50", "peaks": 2, "resize": "200"}
    asked = {"params": {**texts, "class": "disc"}, "content": jpeg}
    arrays = np.load(io.BytesIO(client.post("/activations", **asked, headers={"accept": "application/x-npz"}).content))
    said = client.post("/activations", **asked).json()

    assert list(seen) == ["stem", "block2"] and len(seen) == 2
    for answer in said["layers"]:
        layer = seen[answer["name"]]
        assert np.array_equal(layer.maps, arrays[layer.name]) and layer.channels == (0, 3)
        assert np.array_equal(layer.similarity, arrays[f"{layer.name}.match"])
        assert [peak.x for peak in layer.peaks] == arrays[f"{layer.name}.peaks"][:, 0].tolist()
        assert {each["channel"]: each["energy"] for each in answer["energies"]} == dict(enumerate(layer.energies))
    assert np.array_equal(seen.class_map.values, arrays["class:disc"])
    assert seen.class_map.values.mean() + seen.class_map.bias == pytest.approx(seen.class_map.logit, abs=1e-4)
    assert (seen.width, seen.height, seen.region.width) == (451, 300, 451)
    with pytest.raises(UnknownNameError, match="no layer 'top' was asked for; there are: stem, block2"):
        seen["top"]
    with pytest.raises(ValueError, match="read-only"):
        seen["stem"].maps[:] = 0


def test_a_match_is_that_of_the_service(asking, jpeg, photograph):
    part = photograph[80:130, 100:160]
    found = asking.match(jpeg, part, photograph[200:240, 50:90], top=1, angles=[-10, 0, 10], scores=True)
    assert sorted(each.template for each in found) == [0, 1] and found[:1] == found.matches[:1]
    (first,) = (each for each in found if each.template == 0)
    assert (first.x, first.y) == pytest.approx((130, 105), abs=0.2)
    assert first.present and found.templates[0].name == "template 0"
    assert found.scores.ndim == 2 and found.options.angles == "-10,0,10"
    assert found.scores.max() == pytest.approx(found[0].score, abs=1e-3)

    boxed = asking.match(jpeg, box=(100, 80, 60, 50), masks=[np.ones((50, 60))], top=1)
    assert boxed[0].score == pytest.approx(1, abs=1e-4) and boxed.scores is None
    other = asking.match(jpeg, reference=photograph, box=(100, 80, 60, 50), method="features", layer=["block2"], top=1)
    assert (other.model, other.layers) == ("shapes-scs", ("block2",))
    assert (other[0].x, other[0].y) == pytest.approx((130, 105), abs=3)


def test_a_picture_is_sent_once_and_again_where_the_service_has_forgotten_it(asking, encode, sent):
    noise = np.random.default_rng(7).integers(0, 255, (60, 80, 3), np.uint8)  # which no other test has sent
    picture = encode(noise)
    asking.activations(picture, layers="stem")
    asking.activations(picture, layers="block1")
    asking.match(picture, box=(10, 10, 20, 20), angles="auto")
    assert [size > len(picture) for size, _ in sent] == [True, False, False]
    assert all("picture=sha256" in address for _, address in sent[1:])

    other = encode(noise[::-1])
    asking._rules.known.add(questions._with_digest(NamedBytes("other", other)).digest)  # as if it had been sent
    assert asking.activations(other, layers="stem").width == 80
    assert [size > len(other) for size, _ in sent[3:]] == [False, True]


def test_a_digest_is_asked_about_and_cannot_be_sent(asking, jpeg):
    asking.activations(jpeg, layers="stem")
    digest = f"sha256:{questions._with_digest(NamedBytes('cat', jpeg)).digest}"
    assert asking.match(digest, box=(100, 80, 60, 50), top=1)[0].present
    with pytest.raises(ProblemError, match="no picture sha256:000000000000") as refused:
        asking.activations(f"sha256:{'0' * 64}")
    assert refused.value.status == 404
    for asked in (lambda: asking.predict(digest), lambda: asking.match(jpeg, digest)):
        with pytest.raises(OptionError, match="only the picture of activations and the scene of match"):
            asked()


def test_the_models_are_listed_and_shown(asking):
    assert [each.name for each in asking.models().models] == ["shapes-conv", "shapes-script", "shapes-scs"]
    assert asking.model("shapes-scs", 1).card.labels == ["disc", "bar", "cross"]
    assert asking.health().ready


def test_a_kernel_and_its_input_are_those_of_the_service(asking, client, jpeg):
    kernel = asking.kernel("shapes-scs", "stem", channel=2, version=1)
    said = client.get("/models/shapes-scs/kernel", params={"layer": "stem", "channel": 2}).json()
    assert kernel.model_dump(mode="json") == said
    layer = asking.activations(jpeg, layers="stem", inputs=True)["stem"]
    assert layer.input.shape == (len(kernel.kernel), *layer.shape[1:])
    assert asking.activations(jpeg, layers="stem")["stem"].input is None
    with pytest.raises(ProblemError, match="no channel 99 in stem"):
        asking.kernel("shapes-scs", "stem", 99)


def test_answers_of_both_clients_are_the_same(url, asking, jpeg):
    async def answers():
        async with AsyncClient(url) as client:
            return await asyncio.gather(
                client.predict(jpeg),
                client.activations(jpeg, layers="stem", channels=0),
                client.match(jpeg, box=(100, 80, 60, 50), top=1),
                client.models(),
                client.model("shapes-conv"),
                client.health(),
            )

    prediction, seen, found, models, model, health = asyncio.run(answers())
    assert prediction == asking.predict(jpeg)
    assert np.array_equal(seen["stem"].maps, asking.activations(jpeg, layers="stem", channels=0)["stem"].maps)
    assert found.matches == asking.match(jpeg, box=(100, 80, 60, 50), top=1).matches
    assert (models, model, health.ready) == (asking.models(), asking.model("shapes-conv"), True)


def test_both_clients_take_the_same(url):
    for name in ("predict", "predict_all", "activations", "match", "models", "model", "health", "ask", "__init__"):
        ours, theirs = getattr(Client, name).__annotations__, getattr(AsyncClient, name).__annotations__
        assert ours == theirs, name


def test_heatmaps_come_as_a_picture_as_well(asking, jpeg):
    question = questions.activation_files(Upload([NamedBytes("cat", jpeg)]), ActivationOptions(layers="stem"))
    assert Image.open(io.BytesIO(asking.ask(questions.as_bytes(question, "image/png")))).format == "PNG"


def test_a_slash_at_the_end_of_the_address_does_no_harm(url):
    with Client(url + "/") as slashed, Client(url) as plain:
        assert slashed.models() == plain.models()


def test_a_large_answer_comes_by_way_of_a_file(asking, monkeypatch, jpeg):
    monkeypatch.setattr("service.client.archives._IN_MEMORY", 1000)
    large = asking.activations(jpeg, layers="stem", channels="all")["stem"].maps
    monkeypatch.undo()
    assert large.shape == (8, 300, 451) and not large.flags.writeable
    assert np.array_equal(large, asking.activations(jpeg, layers="stem", channels="all")["stem"].maps)


def test_what_the_service_refuses_is_said_in_its_own_words(asking, jpeg, url):
    with pytest.raises(ProblemError, match=r"answered 404: no model 'cat'; there are: shapes-conv") as refused:
        asking.predict(jpeg, model="cat")
    assert url in str(refused.value)
    problem = refused.value
    assert (problem.status, problem.title, problem.kind) == (404, "Not Found", "unknown-name")
    assert problem.detail.startswith("no model 'cat'") and isinstance(problem, ServerError)
    with pytest.raises(ProblemError, match="answered 415: an image"):
        asking.predict(b"hello")
    with pytest.raises(ProblemError, match="answered 404: no layer 'top'"):
        asking.activations(jpeg, layers="top")


def test_a_key_is_sent(settings, serve_app):
    with serve_app(create_app(settings.model_copy(update={"api_key": "correct-horse-battery"}))) as url:
        with Client(url, "correct-horse-battery") as client:
            assert client.models().models
        with Client(url) as client, pytest.raises(ProblemError, match="answered 401") as refused:
            client.models()
        assert refused.value.kind == "key-needed"


def test_a_server_that_is_another_is_an_error_too(url):
    with Client(f"{url}/elsewhere") as client, pytest.raises(ServerError, match="answered 404: there is no route"):
        client.models()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_does_not_answer_is_an_error_with_its_address(scheme, jpeg):
    with socket.socket() as taken:  # bound, and not listening
        taken.bind(("127.0.0.1", 0))
        url = f"{scheme}://127.0.0.1:{taken.getsockname()[1]}"
        with Client(url) as client, pytest.raises(ServerError, match=f"no answer from {url}"):
            client.predict(jpeg)


@pytest.mark.parametrize("url", ["nowhere", "ftp://127.0.0.1", "http://[::", ""])
def test_an_address_that_is_none_is_an_error(url):
    with Client(url) as client, pytest.raises(ServerError, match="no answer from"):
        client.models()


@contextmanager
def answering(*answers, after_s=0.0):
    """A server that gives these answers (status, headers, body) in turn, and then the last one; and its requests."""
    left, asked = list(answers), []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            asked.append(self.client_address)
            status, headers, body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            for name, value in {**headers, "Content-Length": len(body)}.items():
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False) as server:
        server.server_bind()

        def serve():
            time.sleep(after_s)
            server.server_activate()
            server.serve_forever()

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


BUSY = (503, {"Retry-After": "0"}, b'{"detail": "the queue is full", "type": "/problems/busy"}')
READY = (200, {}, b'{"models": []}')


def test_a_busy_service_is_asked_again_over_the_same_connection():
    with answering(BUSY, BUSY, READY) as (url, asked), Client(url) as client:
        assert client.models().models == []
        assert len(asked) == 3 and len(set(asked)) == 1


def test_the_other_client_waits_for_a_busy_service_too():
    async def ask(url):
        async with AsyncClient(url) as client:
            return await client.models()

    with answering(BUSY, READY) as (url, asked):
        assert asyncio.run(ask(url)).models == []
        assert len(asked) == 2


def test_a_service_that_is_starting_is_waited_for_if_that_is_asked_for():
    with answering(READY, after_s=0.6) as (url, _):
        with Client(url) as client, pytest.raises(ServerError, match="refused"):
            client.models()
        with Client(url, start_s=30) as client:
            assert client.models().models == []
