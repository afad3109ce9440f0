"""The command line, in a process of its own and in this one, and what it is tried on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.cli.main import main


@pytest.fixture
def environment(repository):
    """Variables of ``scs``, with the small models for a repository."""
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith("SCS_")},
        "SCS_MODEL_REPOSITORY": str(repository),
        "SCS_DEFAULT_MODEL": "shapes-scs",
        "SCS_DEVICE": "cpu",
        "SCS_ALLOW_TORCHSCRIPT": "true",
    }


@pytest.fixture
def scs_here(environment, tmp_path, monkeypatch, capsys):
    """Run ``scs`` in this process, which saves the seconds of its start."""
    for name in os.environ.keys() - environment.keys():
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["scs", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return subprocess.CompletedProcess(sys.argv, ended.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def scs(environment, tmp_path):
    """Run ``scs`` in an empty folder."""

    def run(*arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "service.cli", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env={**environment, **more})

    return run


@pytest.fixture
def photo(tmp_path, jpeg) -> Path:
    path = tmp_path / "cat.jpg"
    path.write_bytes(jpeg)
    return path


@pytest.fixture(scope="module")
def server(serve, repository):
    """``scs serve`` over the small models; its address."""
    with serve(SCS_MODEL_REPOSITORY=str(repository), SCS_DEFAULT_MODEL="shapes-scs") as url:
        yield url
