import functools
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2 as httpx
from fastapi.testclient import TestClient

import service.http.routes.activations
from service.app import create_app
from tests.service.workers import chores


def test_a_process_that_answers_is_live(client):
    answer = client.get("/v2/health/live")
    assert (answer.status_code, answer.json()) == (200, {"live": True})


def test_a_service_whose_models_are_loaded_is_ready(client):
    answer = client.get("/v2/health/ready")
    assert (answer.status_code, answer.json()) == (200, {"ready": True})


def test_a_service_whose_models_are_not_loaded_yet_is_live_and_not_ready(settings):
    client = TestClient(create_app(settings))  # not entered, so that its start-up does not run
    assert client.get("/v2/health/live").status_code == 200
    answer = client.get("/v2/health/ready")
    assert (answer.status_code, answer.json()) == (503, {"ready": False})


def test_a_service_without_its_default_model_is_not_ready(settings):
    with TestClient(create_app(settings.model_copy(update={"default_model": "cat"}))) as client:
        assert client.get("/v2/health/ready").status_code == 503


def test_a_service_without_models_is_live_and_not_ready(settings, tmp_path):
    with TestClient(create_app(settings.model_copy(update={"model_repository": tmp_path / "none"}))) as client:
        assert client.get("/v2/health/live").status_code == 200
        assert client.get("/v2/health/ready").status_code == 503
        assert client.get("/models").json() == {"models": []}


def test_a_service_with_one_broken_model_is_not_ready(settings, repository, tmp_path):
    shutil.copytree(repository, tmp_path / "models")
    (tmp_path / "models/shapes-conv/1/model.onnx").write_bytes(b"")
    with TestClient(create_app(settings.model_copy(update={"model_repository": tmp_path / "models"}))) as client:
        assert client.get("/v2/health/ready").status_code == 503


def test_health_and_models_answer_while_a_slow_picture_runs(settings, serve_app, jpeg, monkeypatch):
    app = create_app(settings)
    running, finish = threading.Event(), threading.Event()

    with serve_app(app) as url, ThreadPoolExecutor() as threads:
        runtime = app.state.services.models.get().runtime
        logits = runtime.logits

        def wait_and_answer(images):
            running.set()
            assert finish.wait(60)
            return logits(images)

        monkeypatch.setattr(runtime, "logits", wait_and_answer)
        try:
            pictures = [threads.submit(httpx.post, f"{url}/predict", content=jpeg, timeout=60) for _ in range(2)]
            assert running.wait(30)
            all_answer(url)
            assert not any(picture.done() for picture in pictures)
        finally:
            finish.set()
        assert [picture.result(60).status_code for picture in pictures] == [200, 200]


def test_health_and_models_answer_while_every_worker_is_busy(settings, serve_app, jpeg, monkeypatch, tmp_path):
    work = functools.partial(chores.note_and_wait_with_maps, str(tmp_path))
    monkeypatch.setattr(service.http.routes.activations, "answer_activations", work)
    with serve_app(create_app(settings)) as url, ThreadPoolExecutor() as threads:
        try:
            pictures = [threads.submit(httpx.post, f"{url}/activations", content=jpeg, timeout=60) for _ in range(3)]
            while len(list(tmp_path.iterdir())) < 2:
                time.sleep(0.01)
            all_answer(url)
            assert not any(picture.done() for picture in pictures)
        finally:
            (tmp_path / "go_on").touch()
        assert [picture.result(60).status_code for picture in pictures] == [200] * 3


def all_answer(url):
    for path in ("/v2/health/live", "/v2/health/ready", "/models"):
        assert httpx.get(url + path, timeout=30).status_code == 200
