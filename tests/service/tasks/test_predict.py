"""The way of a prediction through the running service: who is answered, who is refused, who is dropped."""

import asyncio
import io
import socket
import threading
import time

import httpx2 as httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from models.cards.catalogue import bundled_repository
from service.app import create_app
from service.repository.loader import LoadedModel
from service.settings import Settings
from service.tasks.ranking import softmax
from service.workers.pool import WorkerPool

MODEL = "mnist-conv"


def png(number, side=28):
    """A picture that names its request."""
    pixels = np.random.default_rng(number).integers(0, 256, (side, side), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue(), pixels


class Held:
    """A network that is held up until it may go on."""

    device, concurrent_runs = "cpu", 1

    def __init__(self, runtime):
        self.runtime = runtime
        self.go_on, self.begun, self.rows = threading.Event(), threading.Event(), []

    def logits(self, images):
        self.begun.set()
        assert self.go_on.wait(20)
        self.rows.append(len(images))
        return self.runtime.logits(images)


def application(**options):
    return create_app(Settings(model_repository=bundled_repository(), default_model=MODEL, device="cpu", **options))


@pytest.fixture
def hold(monkeypatch):
    """Put a held network in the place of an application's default one."""

    def holding(app):
        model = app.state.services.models.get()
        held = Held(model.runtime)
        replaced = LoadedModel(model.card, held)
        monkeypatch.setattr(app.state.services.models, "get", lambda *_: replaced)
        return held

    return holding


def metric(client, name):
    lines = [line for line in client.get("/metrics").text.splitlines() if line.startswith(name)]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


@pytest.mark.slow
def test_ten_thousand_pictures_at_once_over_http_get_each_their_own_answer():
    app = application(max_queue=10_000)
    pictures = [png(number) for number in range(10_000)]

    async def ask():
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://testserver") as client,
        ):
            return await asyncio.gather(*(client.post("/predict?top_k=10", content=data) for data, _ in pictures))

    answers = asyncio.run(ask())
    assert {answer.status_code for answer in answers} == {200}
    logits = app.state.services.models.get().runtime.logits(np.stack([pixels[..., None] for _, pixels in pictures]))
    for answer, row in zip(answers, logits, strict=True):
        classes = sorted(answer.json()["predictions"][0]["classes"], key=lambda each: each["index"])
        assert [each["probability"] for each in classes] == pytest.approx(softmax(row.tolist()), abs=1e-5)


def test_a_full_queue_is_503_with_retry_after_at_once_and_those_in_it_are_answered(hold):
    app = application(max_queue=2)
    with TestClient(app) as client:
        held = hold(app)
        answers = []
        threads = []
        for number in range(3):
            body = png(number)[0]
            threads.append(
                threading.Thread(target=lambda body=body: answers.append(client.post("/predict", content=body)))
            )
            threads[-1].start()
            held.begun.wait(20)
        while metric(client, "scs_waiting_rows{") < 2:
            time.sleep(0.01)
        refused = client.post("/predict", content=b"refused before it is read")
        assert refused.status_code == 503 and int(refused.headers["retry-after"]) >= 1
        assert "at most 2 images may wait" in refused.json()["detail"]
        assert client.get("/v2/health/live").status_code == 200, "the event loop is not held up"
        held.go_on.set()
        for thread in threads:
            thread.join()
        assert [answer.status_code for answer in answers] == [200] * 3
        assert metric(client, 'scs_rejected_requests_total{model="mnist-conv",reason="queue_full"') == 1


def test_past_the_deadline_it_is_504_and_the_work_is_not_done(hold):
    app = application(request_timeout_s=0.2)
    with TestClient(app) as client:
        held = hold(app)
        late = [client.post("/predict", content=png(number)[0]) for number in range(3)]
        assert [answer.status_code for answer in late] == [504] * 3
        assert late[0].headers["content-type"] == "application/problem+json"
        held.go_on.set()
        assert client.post("/predict", content=png(3)[0]).status_code == 200
        assert sum(held.rows) == 2, "the first was begun, the next two were not"


def test_a_client_that_has_gone_is_dropped_before_its_work_starts_and_counted(hold, serve_app):
    app = application()
    with serve_app(app) as url:
        held = hold(app)
        patient = {"content": png(0)[0], "timeout": 60}
        first = threading.Thread(target=httpx.post, args=(f"{url}/predict",), kwargs=patient)
        first.start()
        held.begun.wait(20)
        body = png(1)[0]
        head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        host, port = url.removeprefix("http://").split(":")
        with httpx.Client(base_url=url) as client:
            for _ in range(5):
                with socket.create_connection((host, int(port))) as gone:
                    gone.sendall(head + body)
                    before = metric(client, "scs_cancelled_requests_total{")
                    while metric(client, "scs_waiting_rows{") < 1:
                        time.sleep(0.01)
                end = time.monotonic() + 10
                while metric(client, "scs_cancelled_requests_total{") == before and time.monotonic() < end:
                    time.sleep(0.01)
            assert metric(client, "scs_cancelled_requests_total{") == 5
            assert metric(client, "scs_waiting_rows{") == 0
            held.go_on.set()
            first.join()
        assert held.rows == [1]


@pytest.mark.parametrize(
    ("pixels", "elsewhere"), [((28, 28), False), ((600, 600), True), ((3000, 3000), True)], ids=str
)
def test_large_pictures_are_decoded_in_another_process(monkeypatch, pixels, elsewhere):
    run, asked = WorkerPool.run, []

    async def watched(pool, deadline, work, *arguments):
        asked.append(work)
        return await run(pool, deadline, work, *arguments)

    monkeypatch.setattr(WorkerPool, "run", watched)
    blank = io.BytesIO()
    Image.new("L", pixels).save(blank, "PNG")
    assert len(blank.getvalue()) < 2**14, "however large the picture is, the file is small"
    with TestClient(application()) as client:
        assert client.post("/predict", content=blank.getvalue()).status_code == 200
    assert len(asked) == elsewhere


def test_the_other_pictures_are_answered_where_some_cannot_be_read(client):
    whole, _ = png(0)
    files = [("file", (name, data)) for name, data in (("a", whole), ("b", whole[:60]), ("c", b"%PDF-"), ("d", whole))]
    alone = client.post("/predict", files=files[:1]).json()["predictions"][0]

    answer = client.post("/predict?partial=true", files=files)
    refused = client.post("/predict", files=files)

    assert answer.status_code == 200
    assert [each["name"] for each in answer.json()["predictions"]] == ["a", "d"]
    assert answer.json()["predictions"][0]["classes"][0]["label"] == alone["classes"][0]["label"]
    first, second = answer.json()["failures"]
    assert (first["name"], first["number"], second["name"], second["number"]) == ("b", 2, "c", 3)
    assert "PNG" in first["detail"] and "a PDF document came" in second["detail"]
    assert refused.status_code == 400 and "number 2 of 4" in refused.json()["detail"]


def test_failures_are_empty_where_every_picture_could_be_read_and_all_of_them_where_none_could(client):
    whole, _ = png(0)
    assert client.post("/predict?partial=true", content=whole).json()["failures"] == []
    answer = client.post("/predict?partial=true", content=b"hello").json()
    assert answer["predictions"] == [] and answer["failures"][0]["number"] == 1
    assert "failures" not in client.post("/predict", content=whole).json()
