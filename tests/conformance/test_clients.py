"""Clients that others wrote, each in an environment of its own: their pins and ours do not go together."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

KEY = "a-key-of-many-letters-0123456789"
MODEL = "cifar10-scs"
CLIENTS = Path(__file__).parent / "clients"
# (environment, what pip installs there): each at the version this was written with
PACKAGES = {
    "triton": ["tritonclient[http,grpc]==2.73.0"],
    "kserve": ["kserve==0.21.0"],
    "perf": ["perf-analyzer==2.60.0"],
    "generated": ["open-inference-openapi==2.0.0.1", "numpy"],
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        for each in (first, second):
            each.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


@pytest.fixture(scope="module")
def addresses(serve, ports) -> dict[str, str]:
    """Where the bundled models are served over HTTP and gRPC."""
    with serve(SCS_API_KEY=KEY, SCS_GRPC_PORT=str(ports[1]), SCS_DEVICE="cpu") as url:
        yield {"http": url.removeprefix("http://"), "grpc": f"127.0.0.1:{ports[1]}"}


@pytest.fixture(scope="module")
def python_of(tmp_path_factory):
    """The Python of an environment, made when it is first asked for."""
    made: dict[str, Path] = {}

    def python(environment: str) -> Path:
        if environment not in made:
            folder = tmp_path_factory.mktemp(environment)
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            command = [folder / "bin/python", "-m", "pip", "install", "--quiet", *PACKAGES[environment]]
            result = subprocess.run(command, capture_output=True, text=True)
            if result.returncode != 0:
                why = (result.stderr.strip().splitlines() or ["pip said nothing"])[-1]
                pytest.skip(f"{', '.join(PACKAGES[environment])} could not be installed: {why}")
            made[environment] = folder / "bin/python"
        return made[environment]

    return python


@pytest.mark.parametrize(
    ("environment", "script", "transport"),
    [
        ("triton", "triton_http", "http"),
        ("triton", "triton_grpc", "grpc"),
        ("kserve", "kserve_rest", "http"),
        ("generated", "generated_rest", "http"),
    ],
)
def test_a_client_that_others_wrote_gets_what_it_asks_for(addresses, python_of, environment, script, transport):
    command = [python_of(environment), CLIENTS / f"{script}.py", addresses[transport], MODEL, KEY]
    assert run(command).strip().endswith(": ok")


@pytest.mark.parametrize("transport", ["http", "grpc"])
def test_perf_analyzer_measures_both_sides(addresses, python_of, transport):
    what = ["-m", MODEL, "-u", addresses[transport], "-i", transport, "-H", f"x-api-key: {KEY}"]
    how = ["-b", "4", "--shape", "image:32,32,3", "--concurrency-range", "4", "--stability-percentage", "99"]
    until = ["--measurement-mode", "count_windows", "--measurement-request-count", "50"]
    measured = run([python_of("perf").with_name("perf_analyzer"), *what, *how, *until])
    assert "Throughput:" in measured and "Successful request count:" in measured and "compute infer" in measured


def run(command: list[str | Path]) -> str:
    others = {key: value for key, value in os.environ.items() if not key.startswith(("SCS_", "PYTHON"))}
    local = {**others, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, env=local)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout
