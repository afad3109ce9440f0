"""Rates of /predict of this checkout and of another, asked in turns, each suspended while the other is measured.

For each network, a small picture as PNG, at 1, 16 and 64 connections that each wait for their answer (wrk). What counts
is the ratio of the two rates in a turn: their median, and the lowest and highest.

Prints a table and writes bench/results/before-after.json.

    python bench/before_after.py ../before
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
from contenders import ROOT, our_calls
from load import wrk
from PIL import Image
from servers import Server

RESULTS = Path(__file__).parent / "results" / "before-after.json"
NETWORKS = ("cifar10-scs", "cifar10-conv")
CONNECTIONS = (1, 16, 64)
PORTS = {"before": 9310, "after": 9311}


def server(side, root):
    environment = {"PYTHONPATH": root, "SCS_PORT": PORTS[side], "SCS_DEVICE": "cpu", "SCS_HOST": "127.0.0.1"}
    return Server(side, [root / ".venv/bin/python", "-m", "service.cli", "serve"], PORTS[side], environment, root)


def commit(root):
    return subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True).stdout.strip()


def turn(servers, call, connections, seconds):
    """Rates of all servers, one after the other."""
    rates = {}
    for side, each in servers.items():
        each.resume()
        rates[side] = wrk(each.port, call, connections, seconds)["rate"]
        each.pause()
    return rates


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path, help="another checkout, with its own venv and native library")
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--seconds", type=int, default=3, help="of a side in a turn")
    asked = parser.parse_args()
    roots = {"before": asked.before.resolve(), "after": ROOT}
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "picture.png"
        Image.fromarray(pixels).save(picture)
        servers = {side: server(side, root) for side, root in roots.items()}
        calls = {name: our_calls(name, picture.read_bytes(), pixels, key=None)["png"] for name in NETWORKS}
        try:
            for side, each in servers.items():
                each.start(Path(folder) / side)
                each.wait_for(calls[NETWORKS[0]])
            rows = [
                row(servers, name, calls[name], connections, asked) for name in NETWORKS for connections in CONNECTIONS
            ]
        finally:
            for each in servers.values():
                each.stop()
    about = {"cores": len(os.sched_getaffinity(0)), "onnxruntime": version("onnxruntime")}
    commits = {side: commit(root) for side, root in roots.items()}
    RESULTS.write_text(json.dumps({**about, "commits": commits, "rows": rows}, indent=1) + "\n")


def row(servers, name, call, connections, asked):
    turn(servers, call, connections, 1)  # warm
    turns = [turn(servers, call, connections, asked.seconds) for _ in range(asked.turns)]
    ratios = sorted(each["after"] / each["before"] for each in turns)
    rates = {side: round(statistics.median(each[side] for each in turns)) for side in servers}
    ratio = statistics.median(ratios)
    print(
        f"{name:13} {connections:3} connections: before {rates['before']:6}, after {rates['after']:6} a second, "
        f"ratio {ratio:.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})",
        flush=True,
    )
    found = {"ratio": round(ratio, 3), "least": round(ratios[0], 3), "most": round(ratios[-1], 3)}
    return {"network": name, "connections": connections, "rates": rates, **found}


if __name__ == "__main__":
    main()
