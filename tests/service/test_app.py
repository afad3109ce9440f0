import logging
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from urllib.parse import urljoin

import pytest
from fastapi.testclient import TestClient
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import models
from models.onnx import native
from models.runtime.load import cuda_obstacle
from scs.errors import DeviceError
from service.api.activations import ActivationsResponse
from service.api.match import MatchOptions, MatchResponse
from service.api.predict import PredictResponse
from service.app import create_app
from service.settings import Settings

POSTS = ("/predict", "/activations")
VERSIONS = ("", "/versions/{version}")
OF_A_MODEL = ("", "/ready", "/config", "/stats")
ROUTES = {
    ("post", "/predict"),
    ("post", "/activations"),
    ("post", "/match"),
    ("get", "/models"),
    ("get", "/models/{name}"),
    ("get", "/models/{name}/graph"),
    ("get", "/models/{name}/kernel"),
    ("get", "/v2"),
    ("get", "/v2/models/stats"),
    *(("get", f"/v2/models/{{name}}{version}{what}") for version in VERSIONS for what in OF_A_MODEL),
    *(("post", f"/v2/models/{{name}}{version}/infer") for version in VERSIONS),
    ("post", "/v2/repository/index"),
    ("post", "/v2/repository/models/{name}/load"),
    ("post", "/v2/repository/models/{name}/unload"),
    ("post", "/v2/repository/models/{name}/labels"),
    ("get", "/metrics"),
    ("get", "/v2/health/live"),
    ("get", "/v2/health/ready"),
}


@pytest.fixture(scope="module")
def description(client):
    return client.get("/openapi.json").json()


def python(code, **environment):
    """Run code in a fresh process, away from this folder."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/", env=environment)


def test_the_documentation_and_all_it_links_to_is_served_by_the_service_itself(client):
    page = client.get("/docs")
    assert page.status_code == 200
    assert not re.search(r"""https?://|["'(]//""", page.text)

    links = re.findall(r"""(?:src|href)\s*=\s*["']([^"']+)["']""", page.text)
    assert any(link.endswith(".js") for link in links)
    assert any(link.endswith(".css") for link in links)
    for link in [*links, *re.findall(r"url: *'([^']+)'", page.text)]:
        answer = client.get(urljoin("/docs", link))
        assert answer.status_code == 200, link
        assert answer.content


def test_every_route_is_described(description):
    found = {(method, path) for path, methods in description["paths"].items() for method in methods}
    assert found == ROUTES
    for method, path in ROUTES:
        route = description["paths"][path][method]
        assert route["summary"]
        assert route["description"]


@pytest.mark.parametrize("path", POSTS)
def test_every_way_to_send_a_picture_is_described(description, path):
    body = description["paths"][path]["post"]["requestBody"]
    assert body["required"] == (path == "/predict"), "a picture that was sent before is named by its digest"
    assert set(body["content"]) == {"image/*", "application/x-npy", "multipart/form-data", "application/json"}


@pytest.mark.parametrize("path", POSTS)
def test_every_option_is_described(description, path):
    options = description["paths"][path]["post"]["parameters"]
    assert {"model", "version", "resize"} < {option["name"] for option in options}
    assert all(option["schema"].get("description") or option.get("description") for option in options)


def test_every_way_to_send_a_match_and_every_option_is_described(description):
    route = description["paths"]["/match"]["post"]
    assert set(route["requestBody"]["content"]) == {"multipart/form-data", "application/json"}
    assert {option["name"] for option in route["parameters"]} == set(MatchOptions.model_fields)
    assert all(option["schema"].get("description") or option.get("description") for option in route["parameters"])
    assert set(route["responses"]["200"]["content"]) == {
        "application/json",
        "image/png",
        "application/x-npy",
        "application/x-npz",
        "application/zip",
    }
    assert list(route["responses"]["504"]["content"]) == ["application/problem+json"]


@pytest.mark.parametrize("path", [*POSTS, "/match", "/models", "/models/{name}"])
def test_every_failure_is_described_as_a_problem(description, path):
    (route,) = description["paths"][path].values()
    failures = {status: answer for status, answer in route["responses"].items() if status >= "400"}
    assert {"404", "422", "500", "503"} <= set(failures)
    for answer in failures.values():
        assert list(answer["content"]) == ["application/problem+json"]


@pytest.mark.parametrize("answer", [PredictResponse, ActivationsResponse, MatchResponse])
def test_answers_have_an_example_that_is_one(description, answer):
    answer.model_validate(description["components"]["schemas"][answer.__name__]["example"])


def test_activations_are_described_in_every_form_they_take(description):
    forms = description["paths"]["/activations"]["post"]["responses"]["200"]["content"]
    assert set(forms) == {"application/json", "image/png", "application/x-npz", "application/zip"}


def test_the_description_refers_to_nothing_that_it_does_not_hold(description):
    schemas = description["components"]["schemas"]
    references = re.findall(r"'\$ref': '([^']+)'", str(description))
    assert references
    assert {reference.removeprefix("#/components/schemas/") for reference in references} <= set(schemas)


def test_what_answers_requests_imports_nothing_that_others_need():
    """Its memory is what it imports; each of these is megabytes that an idle service would keep."""
    loaded = python(
        "import sys, service.app, service.cli.main, service.cli.serve; service.app.create_app(); print(*sys.modules)"
    )
    assert loaded.returncode == 0, loaded.stderr
    names = set(loaded.stdout.split())
    heavy = {"torch", "onnxscript", "matplotlib", "scipy", "pandas", "numba", "cv2", "pyarrow", "zarr", "tifffile"}
    assert not heavy & {name.partition(".")[0] for name in names}
    assert not {f"service.cli.{command}" for command in ("train", "evaluate", "import_", "teach", "map")} & names
    assert not {name for name in names if name.startswith(("models.imports", "service.client", "rich.table"))}


def packages_behind(name, extras, seen):
    """Every installed package that a package needs here, with the extras asked for, by any number of steps."""
    key = canonicalize_name(name), frozenset(extras)
    if key in seen:
        return
    seen.add(key)
    try:
        needs = [Requirement(line) for line in requires(name) or []]
    except PackageNotFoundError:
        return
    for need in needs:
        if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in extras or {""}):
            packages_behind(need.name, need.extras, seen)


def test_no_package_that_serving_needs_needs_torch():
    seen = set()
    packages_behind("scs-serve", {"cpu"}, seen)
    names = {name for name, _ in seen}

    assert {"fastapi", "starlette", "onnx", "onnxruntime", "numpy", "protobuf"} <= names
    assert not names & {"torch", "onnxscript", "matplotlib"}


@pytest.mark.skipif(cuda_obstacle() is None, reason="CUDA works here")
def test_cuda_where_there_is_none_refuses_to_start_with_one_line_that_says_what_is_missing(settings):
    with pytest.raises(DeviceError, match="SCS_DEVICE=cuda needs a working CUDA device, but") as error:
        create_app(settings.model_copy(update={"device": "cuda"}))
    assert "\n" not in str(error.value)

    started = python(
        "from service.cli.main import main; import sys; sys.argv = ['scs', 'serve']; main()", SCS_DEVICE="cuda"
    )
    assert started.returncode == 1
    assert len(started.stderr.splitlines()) == 1
    assert "SCS_DEVICE=cuda" in started.stderr


@pytest.mark.skipif(cuda_obstacle() is None, reason="CUDA works here")
def test_auto_where_there_is_no_cuda_takes_the_cpu_and_logs_why(settings, caplog):
    with (
        caplog.at_level(logging.INFO, "service.app"),
        TestClient(create_app(settings.model_copy(update={"device": "auto"}))),
    ):
        assert f"models run on cpu: {cuda_obstacle()}" in caplog.text


def test_the_device_is_logged(settings, caplog):
    with caplog.at_level(logging.INFO, "service.app"), TestClient(create_app(settings)):
        assert "models run on cpu" in caplog.text
        assert "matches run on cpu: SCS_DEVICE is cpu" in caplog.text
        assert f"kernels of sharpened cosine similarity: {native.described()}" in caplog.text


def test_the_default_repository_is_found_from_the_package_wherever_one_is(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SCS_MODEL_REPOSITORY", raising=False)
    repository = Settings().model_repository

    assert repository == Path(models.__file__).parent / "repository"
    assert (repository / Settings().default_model).is_dir()
