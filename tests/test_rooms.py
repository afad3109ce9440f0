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


def test_serving_does_not_load_the_laboratory():
    code = "import sys, service.app, service.cli.main; service.app.create_app(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {name for name in loaded if name.split(".")[0] == "lab"}
