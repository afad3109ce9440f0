"""The walls between rooms: `lint-imports` holds the layers of pyproject.toml; here they are held as the code runs."""

import subprocess
import sys

import pytest

ROOMS = [
    "tasks.predict",
    "tasks.activations.activate",
    "tasks.match.find",
    "oip.data_plane",
    "repository.table",
    "client",
]


@pytest.mark.parametrize("room", ROOMS)
def test_what_the_service_does_runs_without_any_framework_of_http(room):
    code = f"import sys, service.{room}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"fastapi", "starlette", "uvicorn", "typer"} & {name.split(".")[0] for name in loaded}


@pytest.mark.parametrize("module", ["multipart", "match_upload", "uploads"])
def test_what_a_worker_parses_with_brings_no_server_along(module):
    """It would be imported anew in each worker, a fifth of a second and 20 MB at the first form."""
    code = f"import sys, service.http.{module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"fastapi", "uvicorn", "prometheus_client"} & {name.split(".")[0] for name in loaded}


def test_serving_does_not_load_the_laboratory():
    code = "import sys, service.app, service.cli.main, service.cli.serve; service.app.create_app(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {name for name in loaded if name.split(".")[0] == "lab"}
