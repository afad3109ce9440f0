"""The process of a device, here on the CPU: it may be killed, and nobody notices but whoever was in it."""

import io
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from scs.errors import ModelError, WorkerLostError
from service import services
from service.app import create_app
from service.repository.device.jobs import drop
from service.repository.device.model import DeviceModel, ask
from service.repository.device.process import DeviceProcess
from service.repository.repository import ModelRepository
from service.repository.sent_model import SentModel
from service.repository.trial import Trial
from service.settings import Settings
from service.workers.worker import run_once
from tests.service import hostile_models
from tests.service.hostile_models import put

MIB = 2**20
LIGHT = np.full((1, 8, 8, 1), 9, np.uint8)


@pytest.fixture
def device():
    process = DeviceProcess("cpu", load_s=20, run_s=2)
    yield process
    process.close()


@pytest.fixture
def store(tmp_path, device):
    put(tmp_path, "plain", hostile_models.PLAIN)
    put(tmp_path, "loops", hostile_models.LOOPS_ON_LIGHT)
    store = ModelRepository(tmp_path, "cpu", "plain", try_out=Trial(20, 600 * MIB, device))
    store.load_all()
    return store


def test_a_model_is_loaded_and_run_there_and_nowhere_else(store, device):
    model = store.get("plain")
    assert isinstance(model.runtime, DeviceModel)
    assert model.is_bounded
    assert model.runtime.logits(LIGHT).tolist() == [[9, 9]]
    assert model.runtime.layers(LIGHT, [])["logits"].tolist() == [[9, 9]]
    assert ask(model.runtime.place.address, os.getpid) not in (os.getpid(), None)


def test_one_whose_work_is_not_bounded_stays_out_of_it(store):
    assert not isinstance(store.get("loops").runtime, DeviceModel)


def test_a_worker_asks_the_same_process(store):
    model = store.get("plain")
    here = ask(model.runtime.place.address, os.getpid)
    logits, there = run_once(20, None, _in_a_worker, SentModel.of(model), LIGHT)
    assert logits.tolist() == [[9, 9]]
    assert there == here


def _in_a_worker(sent, images):
    model = sent.loaded()
    return model.runtime.logits(images), ask(model.runtime.place.address, os.getpid)


def test_killed_it_is_started_again_with_its_models_and_its_address(store):
    runtime = store.get("plain").runtime
    for _ in range(3):
        pid = ask(runtime.place.address, os.getpid)
        os.kill(pid, signal.SIGKILL)
        assert _patiently(lambda: runtime.logits(LIGHT)).tolist() == [[9, 9]]
        assert ask(runtime.place.address, os.getpid) != pid


def _patiently(question):
    """Ask again where the end of the process met the question; a connection that waits for the next is answered."""
    for _ in range(20):
        try:
            return question()
        except WorkerLostError:
            time.sleep(0.05)
    raise AssertionError("it was not started again")


def test_what_takes_longer_than_it_may_ends_the_process_and_the_next_question_is_answered(store, device):
    model = store.get("plain")
    started = time.monotonic()
    with pytest.raises(WorkerLostError):
        ask(model.runtime.place.address, _spin_watched, 0.3)
    assert time.monotonic() - started < 20  # it would spin for a minute
    assert _patiently(lambda: model.runtime.logits(LIGHT)).tolist() == [[9, 9]]


def _spin_watched(seconds):
    from service.repository.device.jobs import _watched

    with _watched(seconds):
        time.sleep(60)


def test_a_model_that_is_let_go_of_is_dropped_there(store):
    runtime = store.get("plain").runtime
    place = runtime.place
    assert ask(place.address, _held) == [place.number]
    del runtime
    store.unload("plain")
    deadline = time.monotonic() + 20
    while ask(place.address, _held) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert ask(place.address, _held) == []


def _held():
    from service.repository.device import jobs

    return sorted(jobs._held)


def test_one_that_is_not_held_any_more_is_loaded_once_more_and_not_kept(store):
    runtime = store.get("plain").runtime
    ask(runtime.place.address, drop, runtime.place.number)
    assert runtime.logits(LIGHT).tolist() == [[9, 9]]
    assert ask(runtime.place.address, _held) == []


def test_a_broken_model_is_refused_with_the_reason_of_that_process(tmp_path, device):
    put(tmp_path, "plain", hostile_models.PLAIN)
    card_of = ModelRepository(tmp_path, "cpu", "plain")
    card_of.load_all()
    card = card_of.get("plain").card
    with (tmp_path / "plain" / "1" / "card.json").open("rb") as other, pytest.raises(ModelError, match="SHA-256"):
        device.load(card, other)


def test_many_ask_at_a_time_and_each_gets_its_own_answer(store):
    runtime = store.get("plain").runtime
    pictures = [np.full((1, 8, 8, 1), level, np.uint8) for level in range(16)]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(runtime.logits, pictures))
    assert [answer[0, 0] for answer in answers] == list(range(16))


def test_over_http_it_is_killed_again_and_again_and_the_service_goes_on(monkeypatch, device):
    monkeypatch.setattr(services, "device_process", lambda *_: device)
    encoded = io.BytesIO()
    Image.fromarray(np.zeros((28, 28), np.uint8)).save(encoded, "PNG")

    def ask_for(route):
        question = {"content": encoded.getvalue(), "headers": {"Content-Type": "image/png"}}
        return client.post(f"/{route}?model=mnist-scs", **question)

    with TestClient(create_app(Settings(device="cpu"))) as client:
        predictions = ask_for("predict").json()["predictions"]
        layers = ask_for("activations").json()["layers"]
        runtime = client.app.state.services.models.get("mnist-scs").runtime
        assert isinstance(runtime, DeviceModel)
        for _ in range(3):
            os.kill(ask(runtime.place.address, os.getpid), signal.SIGKILL)
            answers = [ask_for("predict") for _ in range(20)]
            assert {answer.status_code for answer in answers} <= {200, 503}
            assert answers[-1].json()["predictions"] == predictions
            assert ask_for("activations").json()["layers"] == layers
    with pytest.raises(WorkerLostError):
        ask(runtime.place.address, os.getpid)
