"""A model that does not end, or takes everything, is refused with the reason, and nobody else waits for it."""

import io
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx2 as httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from scs.errors import DeadlineError, ModelError, TooLargeError
from service.app import create_app
from service.repository.repository import ModelRepository
from service.repository.trial import Trial
from service.settings import Settings
from tests.service import hostile_models
from tests.service.hostile_models import put, put_model

MIB = 2**20
KEY = "a-key-for-the-tests-of-this"
HEADERS = {"X-API-Key": KEY}
LIGHT = np.full((8, 8, 1), 9, np.uint8)
DARK = np.zeros((8, 8, 1), np.uint8)


@pytest.fixture
def folder(tmp_path):
    put(tmp_path, "plain", hostile_models.PLAIN)
    return tmp_path


def loaded(folder, seconds=2.0, memory=600 * MIB):
    store = ModelRepository(folder, "cpu", "plain", try_out=Trial(seconds, memory))
    store.load_all()
    return store


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (hostile_models.LOOPS_ALWAYS, "within 2 seconds; it took longer"),
        (hostile_models.ALLOCATES, "needs more memory than the 600 MiB"),
    ],
)
def test_a_model_over_a_limit_is_refused_with_the_reason_and_the_others_are_loaded(folder, body, reason):
    put(folder, "hostile", body)
    store = loaded(folder)
    assert store.get("plain").runtime.logits(LIGHT[None]).tolist() == [[9, 9]]
    with pytest.raises(ModelError, match=reason):
        store.get("hostile")


def test_functions_nested_without_end_are_refused(folder):
    put_model(folder, "hostile", hostile_models.nested_functions(9))
    with pytest.raises(ModelError, match="hostile 1 (did not|needs to) load"):
        loaded(folder).get("hostile")


def test_a_model_whose_work_nobody_can_bound_runs_in_processes_that_are_killed(folder):
    put(folder, "loops", hostile_models.LOOPS_ON_LIGHT)
    put(folder, "allocates", hostile_models.ALLOCATES_ON_LIGHT)
    store = loaded(folder)
    assert store.get("plain").is_bounded
    for name, error in (("loops", DeadlineError), ("allocates", TooLargeError)):
        model = store.get(name)
        assert not model.is_bounded
        assert model.runtime.logits(DARK[None]).tolist() == [[0, 0]]
        assert model.runtime.layers(DARK[None], [])["logits"].tolist() == [[0, 0]]
        with pytest.raises(error):
            model.runtime.logits(LIGHT[None])


def test_over_http_a_run_that_does_not_end_is_504_and_everything_else_goes_on(folder):
    put(folder, "loops", hostile_models.LOOPS_ON_LIGHT)
    settings = Settings(model_repository=folder, default_model="plain", device="cpu", request_timeout_s=2)
    with TestClient(create_app(settings)) as client:

        def ask(model, picture):
            return client.post(f"/predict?model={model}", content=npy(picture))

        assert ask("loops", DARK).status_code == 200
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(ask("loops", LIGHT))) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert ask("plain", LIGHT).status_code == 200
        assert client.get("/v2/health/live").status_code == 200
        assert client.post("/activations?model=plain", content=npy(LIGHT)).status_code in (200, 504)
        for thread in threads:
            thread.join()
        assert [answer.status_code for answer in answers] == [504] * 3
        assert "time for this request" in answers[0].json()["detail"]
        assert ask("loops", DARK).status_code == 200


def test_while_one_model_is_tried_others_are_loaded_and_unloaded(folder):
    settings = Settings(
        model_repository=folder, default_model="plain", device="cpu", api_key=SecretStr(KEY), load_timeout_s=5
    )
    with TestClient(create_app(settings), headers=HEADERS) as client:
        put(folder, "hostile", hostile_models.LOOPS_ALWAYS)
        put(folder, "late", hostile_models.PLAIN)
        answers = {}

        def load(name):
            answers[name] = client.post(f"/v2/repository/models/{name}/load")

        hanging = threading.Thread(target=load, args=["hostile"])
        hanging.start()
        load("late")
        assert answers["late"].status_code == 200
        assert client.post("/v2/repository/models/late/unload").status_code == 200
        assert "hostile" not in answers
        hanging.join()
        assert answers["hostile"].status_code == 400 and "5 seconds" in answers["hostile"].json()["error"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that forks")
def test_a_service_with_a_model_that_never_loads_is_live_answers_for_the_others_and_stops(folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    put(folder, "hostile", hostile_models.LOOPS_ALWAYS)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SCS_")}
    environment |= {"SCS_MODEL_REPOSITORY": str(folder), "SCS_DEFAULT_MODEL": "plain", "SCS_LOAD_TIMEOUT_S": "600"}
    command = [sys.executable, "-m", "service.cli", "serve", "--port", str(port)]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            while True:
                try:
                    if client.post("/predict", content=npy(LIGHT)).status_code == 200:
                        break
                except httpx.TransportError:
                    assert process.poll() is None
                time.sleep(0.05)
            assert client.get("/v2/health/live").status_code == 200
            assert client.get("/models/hostile").json()["state"] == "LOADING"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()


def test_what_passed_is_not_tried_again(folder, monkeypatch):
    loaded(folder)
    monkeypatch.setattr("service.repository.trial.run_once", lambda *_: 1 / 0)
    assert loaded(folder).get("plain").is_bounded


def test_a_trial_that_was_killed_says_so(folder, monkeypatch):
    from service.repository import trial
    from tests.service.workers import chores

    monkeypatch.setattr(trial, "_try_out", chores.die_of)
    put(folder, "killed", hostile_models.PLAIN, description="another card")
    with pytest.raises(ModelError, match="its process ended"):
        loaded(folder).get("killed")
