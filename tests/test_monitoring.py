"""What is shipped for watching: Prometheus's configuration, its alerts, and Grafana's dashboard."""

import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from models.cards.catalogue import bundled_repository
from service.app import create_app
from service.settings import Settings

FOLDER = Path(__file__).parent.parent / "monitoring"
DASHBOARD = json.loads((FOLDER / "grafana/dashboards/scs.json").read_text())
KEY = "a-key-of-the-tests-0123456789abcdef"


def expressions():
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]


def alerts():
    text = (FOLDER / "alerts.yml").read_text()
    return re.findall(r"expr: (?:>\n)?(.*?)\n +for:", text, re.DOTALL)


def names(expression: str) -> set[str]:
    return set(re.findall(r"\b(?:scs|process|python)_\w+", expression))


def test_every_metric_that_the_dashboard_and_the_alerts_name_is_exported(tmp_path):
    app = create_app(Settings(model_repository=tmp_path / "none", device="cpu"))
    with TestClient(app) as client:
        client.get("/models")
        app.state.services.metrics.model("cat", 1)
        lines = client.get("/metrics").text.splitlines()
    exported = {re.split(r"[{ ]", line)[0] for line in lines if not line.startswith("#")}
    exported |= {line.split()[2] for line in lines if line.startswith("# TYPE")}

    named = [names(expression) for expression in (*expressions(), *alerts())]
    assert len(alerts()) >= 5 and len(named) > 25
    assert set().union(*named) - exported == set()


def test_the_dashboard_shows_everything_that_is_exported(tmp_path):
    app = create_app(Settings(model_repository=tmp_path / "none", device="cpu"))
    registry = app.state.services.metrics._registry
    families = {family.name for family in registry.collect() if family.name.startswith("scs_")}
    shown = set().union(*map(names, expressions()))
    bare = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in shown}
    assert families <= bare


def test_panels_do_not_overlap_and_each_has_a_title():
    taken = set()
    for panel in DASHBOARD["panels"]:
        assert panel["title"]
        place = panel["gridPos"]
        cells = {(place["x"] + i, place["y"] + j) for i in range(place["w"]) for j in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


@pytest.mark.skipif(not shutil.which("promtool"), reason="needs promtool, of the package prometheus")
def test_prometheus_accepts_its_configuration_and_the_alerts():
    for what, file in ((["config", "--syntax-only"], "prometheus.yml"), (["rules"], "alerts.yml")):
        done = subprocess.run(["promtool", "check", *what, FOLDER / file], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not shutil.which("promtool"), reason="needs promtool, of the package prometheus")
def test_alerts_fire_when_work_is_refused_or_given_up():
    done = subprocess.run(["promtool", "test", "rules", FOLDER / "alerts.test.yml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def running(command, url, log, **variables):
    """A process, once its address answers."""
    others = {key: value for key, value in os.environ.items() if not key.startswith("SCS_")}
    with log.open("w") as file:
        process = subprocess.Popen(command, env={**others, **variables}, stdout=file, stderr=file)
    try:
        for _ in range(600):
            assert process.poll() is None, log.read_text()
            try:
                if httpx.get(url).status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(60)


def without_data(server):
    """Expressions of the dashboards and alerts for which Prometheus has nothing, or no number."""
    values = {"$__rate_interval": "1m", "$route": ".*", "$model": ".*"}
    empty = []
    for expression in expressions():
        for name, value in values.items():
            expression = expression.replace(name, value)
        answer = httpx.get(f"{server}/api/v1/query", params={"query": expression}).json()
        assert answer["status"] == "success", (expression, answer)
        if not answer["data"]["result"] or any(each["value"][1] == "NaN" for each in answer["data"]["result"]):
            empty.append((expression, answer["data"]["result"]))
    return empty


@pytest.mark.skipif(not shutil.which("prometheus"), reason="needs a Prometheus")
def test_a_real_prometheus_has_data_for_every_expression(tmp_path):
    shutil.copytree(bundled_repository() / "mnist-conv", tmp_path / "models/mnist-conv")
    (tmp_path / "key").write_text(KEY)
    port, own = free_port(), free_port()
    text = (FOLDER / "prometheus.yml").read_text().replace("serving:8000", f"127.0.0.1:{port}")
    text = text.replace("/tmp/scs-api-key", str(tmp_path / "key")).replace("scrape_interval: 5s", "scrape_interval: 1s")
    (tmp_path / "prometheus.yml").write_text(text)
    shutil.copy(FOLDER / "alerts.yml", tmp_path)
    buffer = io.BytesIO()
    Image.new("L", (28, 28)).save(buffer, "PNG")

    serve = [sys.executable, "-m", "service.cli", "serve", "--port", str(port)]
    variables = {"SCS_MODEL_REPOSITORY": str(tmp_path / "models"), "SCS_DEFAULT_MODEL": "mnist-conv"}
    prometheus = ["prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/measured"]
    prometheus.append(f"--web.listen-address=127.0.0.1:{own}")
    service, server = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{own}"
    with (
        running(serve, f"{service}/v2/health/ready", tmp_path / "serve.log", SCS_API_KEY=KEY, **variables),
        running(prometheus, f"{server}/-/ready", tmp_path / "prometheus.log"),
        httpx.Client(base_url=service, headers={"X-API-Key": KEY}) as client,
    ):
        for _ in range(60):
            assert client.post("/predict", content=buffer.getvalue()).status_code == 200
            time.sleep(0.1)
        deadline = time.monotonic() + 30  # a rate wants two looks at a counter, which a busy machine may be late with
        while (empty := without_data(server)) and time.monotonic() < deadline:
            time.sleep(1)
            client.post("/predict", content=buffer.getvalue())
        assert not empty
        rules = httpx.get(f"{server}/api/v1/rules").json()["data"]["groups"][0]["rules"]
        assert {rule["health"] for rule in rules} <= {"ok", "unknown"}
