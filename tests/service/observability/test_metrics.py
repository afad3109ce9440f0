import shutil

import pytest
from fastapi.testclient import TestClient
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open_metrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from models.cards.catalogue import bundled_repository
from service.app import create_app
from service.settings import Settings


@pytest.fixture
def bare(tmp_path):
    """Settings of a service without models."""
    return Settings(model_repository=tmp_path / "none", device="cpu")


@pytest.fixture
def app(bare):
    return create_app(bare)


@pytest.fixture
def client(app):
    with TestClient(app) as client:
        yield client


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample by its name and its sorted labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in read_text(text)
        for sample in family.samples
    }


def test_metrics_are_text_that_prometheus_reads(client):
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert {"scs_requests", "scs_request_seconds", "scs_model_ready"} <= {f.name for f in read_text(answer.text)}


def test_metrics_are_open_metrics_for_whoever_asks_for_it(client):
    answer = client.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")
    assert "scs_requests" in {family.name for family in read_open_metrics(answer.text)}


@pytest.mark.parametrize(
    "accept",
    [
        "application/openmetrics-text;version=zzz;escaping=zzz,text/plain;version=1.x;q=foo,;;,=",
        "application/openmetrics-text; version=1.0.0.x",
        "text/plain; version=1.x",
        "text/plain; version=" + "1" * 5000,
        "text/plain; version=1_0; version=1.0.0",
        "application/openmetrics-text; version=\xb2",
        "image/png",
        "a/b;q=0.1," * 500,
        "",
    ],
)
def test_metrics_are_text_whatever_is_accepted(client, accept):
    answer = client.get("/metrics", headers={"accept": accept.encode("latin-1")})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert list(read_text(answer.text))


def test_each_application_counts_for_itself(app, bare):
    other = create_app(bare)
    app.state.services.metrics.model("cat", 1).cancelled.inc()
    text, _ = app.state.services.metrics.exposition("")
    assert b'scs_cancelled_requests_total{model="cat",version="1"} 1.0' in text
    text, _ = other.state.services.metrics.exposition("")
    assert b'"cat"' not in text


def test_a_models_series_are_made_once(app):
    metrics = app.state.services.metrics
    assert metrics.model("cat", 1) is metrics.model("cat", 1)
    assert metrics.model("cat", 1) is not metrics.model("cat", 2)


def test_what_is_told_of_a_model_is_under_its_name_and_version(app):
    model = app.state.services.metrics.model("cat", 2)
    for histogram in (model.queue_seconds, model.decode_seconds, model.inference_seconds):
        histogram.observe(0.003)
    model.batch_rows.observe(8)
    model.waiting_rows.inc(3)
    model.rejected_full.inc()
    model.rejected_deadline.inc(2)
    model.cancelled.inc(4)

    text, _ = app.state.services.metrics.exposition("")
    found = samples(text.decode())
    labels = (("model", "cat"), ("version", "2"))
    for name in ("queue", "decode", "inference"):
        assert found[f"scs_{name}_seconds_sum", labels] == 0.003
        assert found[f"scs_{name}_seconds_bucket", (("le", "0.0025"), *labels)] == 0
        assert found[f"scs_{name}_seconds_bucket", (("le", "0.005"), *labels)] == 1
    assert found["scs_batch_rows_bucket", (("le", "8.0"), *labels)] == 1
    assert found["scs_waiting_rows", labels] == 3
    by_reason = {reason: (labels[0], ("reason", reason), labels[1]) for reason in ("queue_full", "deadline")}
    assert found["scs_rejected_requests_total", by_reason["queue_full"]] == 1
    assert found["scs_rejected_requests_total", by_reason["deadline"]] == 2
    assert found["scs_cancelled_requests_total", labels] == 4


def test_durations_are_told_apart_from_a_tenth_of_a_millisecond_to_the_deadline(app):
    app.state.services.metrics.model("cat", 1)
    text, _ = app.state.services.metrics.exposition("")
    bounds = {
        float(dict(labels)["le"]) for name, labels in samples(text.decode()) if name == "scs_inference_seconds_bucket"
    }
    assert min(bounds) == 0.0001 and max(bounds - {float("inf")}) == 30


def test_models_that_can_be_used_are_told_from_those_that_cannot(bare, tmp_path):
    (tmp_path / "cat/1").mkdir(parents=True)
    (tmp_path / "cat/1/model.onnx").write_bytes(b"")
    (tmp_path / "cat/1/card.json").write_text("{}")
    shutil.copytree(bundled_repository() / "mnist-conv", tmp_path / "mnist-conv")
    with TestClient(create_app(bare.model_copy(update={"model_repository": tmp_path}))) as client:
        found = samples(client.get("/metrics").text)
    assert found["scs_model_ready", (("model", "mnist-conv"), ("version", "2"))] == 1
    assert found["scs_model_ready", (("model", "cat"), ("version", "1"))] == 0


def test_the_process_is_measured_too(client):
    found = samples(client.get("/metrics").text)
    assert found["process_resident_memory_bytes", ()] > 2**20
    assert any(name == "python_info" for name, _ in found)


def test_a_hundred_versions_that_are_all_used_take_less_than_a_hundred_kilobytes(app):
    metrics = app.state.services.metrics
    for number in range(100):
        series = metrics.model(f"a-model-{number}", 1)
        series.decode_seconds.observe(0.01)
        series.waiting_rows.inc()
        for route in ("/predict", "/activations", "/v2/models/{name}/infer"):
            for status in (200, 400, 503, 504):
                count, seconds = metrics.request(route, f"a-model-{number}", status)
                count.inc()
                seconds.observe(0.01)
    text, _ = metrics.exposition("")
    assert len(text) < 100_000
    found = samples(text.decode())
    assert sum(value for (name, _), value in found.items() if name == "scs_decode_seconds_count") == 100
    assert sum(value for (name, _), value in found.items() if name == "scs_requests_total") == 1200
    assert found["scs_waiting_rows", (("model", "other"), ("version", "other"))] == 90


def test_the_series_of_a_model_go_with_it_and_come_back_with_it(bare, tmp_path, encode):
    import numpy as np

    shutil.copytree(bundled_repository() / "mnist-conv", tmp_path / "mnist-conv")
    changes = {"model_repository": tmp_path, "default_model": "mnist-conv"}
    picture = encode(np.zeros((28, 28), np.uint8))
    app = create_app(bare.model_copy(update=changes))
    with TestClient(app) as client:

        def counted():
            answer = client.post("/predict", content=picture, headers={"content-type": "image/png"})
            assert answer.status_code in (200, 503)
            return samples(client.get("/metrics").text)

        key = "scs_requests_total", (("model", "mnist-conv"), ("route", "/predict"), ("status", "200"))
        inference = "scs_inference_seconds_count", (("model", "mnist-conv"), ("version", "2"))
        counted()
        assert counted()[key] == counted()[inference] - 1 == 2
        app.state.services.models.unload("mnist-conv")
        text = client.get("/metrics").text
        assert "mnist-conv" not in text
        app.state.services.models.load("mnist-conv")
        found = counted()
        assert found[key] == found[inference] == 1
