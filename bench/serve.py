"""Throughput and latency of the service beside its alternatives, in one run.

    python bench/serve.py [--quick] [--peers FOLDER] [--only SECTION ...] [--rounds 4] [--seconds 2]

The same ONNX files, the same PNG, the same machine; load from wrk (Debian's package), on
one thread. Servers are asked in turns, A B C A B C; those that are not asked are stopped in
mid-breath. Every answer is checked against ONNX Runtime before it is timed. Where a contender has several ways of being
set up, each is tried before, and the best at that number of connections counts. Ours runs as ``scs serve`` does, with a
key. Peers are installed by pip into venvs below --peers, by default ~/.cache/scs-bench. Prints tables and writes
bench/results/serve.json, the sections of --only alone where that is given; --quick writes nothing. Needs scikit-image.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import traceback
from functools import partial
from pathlib import Path

import contenders
import wide
from ceilings import limits
from contenders import Contender, Way, our_calls, ours
from overloads import apart, liveness, overloads
from starts import starting
from turns import CONNECTIONS, MODELS, Bench, best_way, compare
from venvs import versions

RESULTS = Path(__file__).parent / "results" / "serve.json"


def comparison(bench):
    """The product's models, as a raw body and as a form."""
    cases, about = [], {}
    grid = contenders.LITSERVE_QUICK if bench.quick else contenders.LITSERVE
    for name in MODELS[:1] if bench.quick else MODELS:
        model = bench.model(name)
        those = [
            bench.us(name),
            contenders.by_hand(model, bench.ports, bench.picture),
            contenders.by_two_hands(model, bench.ports, bench.picture),
            contenders.litserve(bench.peers, model, bench.ports, bench.picture, grid),
            contenders.mlserver(bench.peers, model, bench.ports, bench.picture, bench.folder / f"mlserver-{name}"),
            contenders.bentoml(bench.peers, model, bench.ports, bench.picture),
        ]
        with bench.running(name, *those) as servers:
            if not bench.quick:
                settle(those[3], servers)
            for connections in CONNECTIONS[1:2] if bench.quick else CONNECTIONS:
                cases.append(compare(bench, those, connections, servers, {"model": name, "upload": "png"}))
            about.update({each.name: described(each) for each in those})
        forms = [bench.us(name, "form"), contenders.by_hand(model, bench.ports, bench.picture, "form")]
        if not bench.quick:
            with bench.running(name, *forms) as servers:
                cases.append(compare(bench, forms, 16, servers, {"model": name, "upload": "form"}))
    return {"cases": cases, "contenders": about}


def settle(contender, servers):
    """Leave only the best of a contender's ways, found at 16 connections, and stop the servers of the others."""
    if len(contender.ways) < 2:
        return
    best, tried = best_way(contender, 16, servers)
    print(f"{contender.name}, tried at 16 connections: {json.dumps(tried)}", flush=True)
    for way in contender.ways:
        if way.server is not best.server:
            way.server.stop()
            servers.remove(way.server)
    contender.ways = [best]
    contender.versions["tried at 16 connections"] = tried


def described(contender):
    return {"missing": contender.missing} if not contender.ways else contender.versions


def batching(bench):
    """A network on which batching pays."""
    grid = contenders.LITSERVE_QUICK if bench.quick else contenders.LITSERVE[1:3] + contenders.LITSERVE[-2:]
    model = bench.wide_model
    those = [
        bench.us(wide.NAME),
        contenders.by_hand(model, bench.ports, bench.picture),
        contenders.by_two_hands(model, bench.ports, bench.picture),
        contenders.litserve(bench.peers, model, bench.ports, bench.picture, grid),
    ]
    with bench.running(wide.NAME, *those) as servers:
        if not bench.quick:
            settle(those[3], servers)
        return {
            "batching": [
                compare(bench, those, connections, servers, {"model": wide.NAME, "upload": "png"})
                for connections in (CONNECTIONS[1:2] if bench.quick else CONNECTIONS)
            ]
        }


def binary(bench):
    """Tensors of pixels against pictures, on our own server."""
    cases = []
    for name in MODELS[1:] if bench.quick else MODELS:
        png = bench.us(name)
        call = our_calls(name, bench.picture, bench.pixels)["binary"]
        tensors = Contender("ours", [Way("binary tensors", png.ways[0].server, call)])
        png.name = "PNG"
        with bench.running(name, png, tensors) as servers:
            for connections in (16,) if bench.quick else (16, 64):
                if tensors.ways:
                    cases.append(
                        compare(bench, [tensors, png], connections, servers, {"model": name, "upload": "binary"})
                    )
    return {"binary": cases}


def workers(name, bench):
    """One process, workers, and other services in as many processes as there are cores."""
    own = {count: bench.us(name, SCS_WORKERS=count) for count in (1, *WORKERS)}
    for count, each in own.items():
        each.name = f"{count} worker{'s' if count > 1 else ''}"
    own[WORKERS[0]].name = "ours"
    model = bench.model(name)
    grid = [way for way in contenders.LITSERVE if way[2] == contenders.CORES]
    lit = contenders.litserve(bench.peers, model, bench.ports, bench.picture, grid)
    those = [*own.values(), contenders.by_two_hands(model, bench.ports, bench.picture), lit]
    with bench.running(name, *those) as servers:
        cases = [
            compare(bench, those, connections, servers, {"model": name, "upload": "png"}) for connections in CONNECTIONS
        ]
    return {f"workers-{name}": cases}


def features(bench):
    """What the parts that can be left out cost."""
    name = MODELS[1]
    plain = our_calls(name, bench.picture, bench.pixels, key=None)["png"]
    whole = our_calls(name, bench.picture, bench.pixels)["png"]
    variants = {"ours": (ours(bench.ports.take()), whole), "no key": (ours(bench.ports.take(), key=None), plain)}
    for label, settings in OPTIONAL.items():
        variants[label] = ours(bench.ports.take(), settings), whole
    those = [Contender(label, [Way("", server, call)]) for label, (server, call) in variants.items()]
    with bench.running(name, *those) as servers:
        return {"features": [compare(bench, those, 16, servers, {"model": name, "upload": "png"})]}


WORKERS = contenders.CORES, 2 * contenders.CORES  # the first are compared
OPTIONAL = {"no access log": {"SCS_LOG_LEVEL": "warning"}}

OF_MODELS = {f"workers-{name}": partial(workers, name) for name in MODELS}
LONG = "limits", "apart", "features", *OF_MODELS  # left out of a quick run
SECTIONS = {
    each.__name__: each
    for each in (limits, comparison, batching, binary, overloads, apart, starting, liveness, features)
} | OF_MODELS


def machine():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return {
        "processor": next((line.partition(": ")[2] for line in lines if line.startswith("model name")), ""),
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "wrk": subprocess.run(["wrk", "-v"], capture_output=True, text=True).stdout.split("\n")[0].split(" [")[0],
        "versions": versions(sys.executable, "uvloop", "httptools"),
        "load_before": round(os.getloadavg()[0], 2),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a part of it, in under two minutes; writes nothing")
    parser.add_argument("--peers", type=Path, default=Path.home() / ".cache" / "scs-bench")
    parser.add_argument(
        "--only", nargs="+", choices=SECTIONS, metavar="SECTION", help="all, or those of a quick run, unless given"
    )
    parser.add_argument("--rounds", type=int, help="turns that count, beside the first")
    parser.add_argument("--seconds", type=int, help="of each turn")
    parser.add_argument("--port", type=int, default=9400, help="the first of those that are used")
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds or (1 if arguments.quick else 4)
    arguments.seconds = arguments.seconds or (1 if arguments.quick else 2)
    began = time.perf_counter()
    report = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    report["machine"] = machine()
    with tempfile.TemporaryDirectory() as folder:
        bench, failed = Bench(arguments, Path(folder)), []
        for name in arguments.only or [name for name in SECTIONS if not (arguments.quick and name in LONG)]:
            start = time.perf_counter()
            try:
                report.update(SECTIONS[name](bench))
                report.setdefault("measured", {})[name] = {
                    "rounds": arguments.rounds,
                    "seconds": arguments.seconds,
                    "load_before": report["machine"]["load_before"],
                }
            except Exception:  # the other sections are worth having
                traceback.print_exc()
                failed.append(name)
            print(f"({name}: {time.perf_counter() - start:.0f} s)", flush=True)
            if not arguments.quick:
                RESULTS.write_text(json.dumps(report, indent=2) + "\n")
    print(f"\nall of it took {time.perf_counter() - began:.0f} s{', without ' + ', '.join(failed) if failed else ''}")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
