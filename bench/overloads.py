"""Sections of bench/serve.py: more than it can do, and how long health takes beside large pictures."""

import os
import time

import load
import wide
from contenders import by_hand, guarded, ours
from load import LoadError
from PIL import Image
from servers import Call
from skimage import data
from starts import SETTLING_S
from turns import MODELS, encoded

MEDIUM = 256  # pixels on a side
PROBES = 100  # a second


def overloads(bench):
    """Up to five times what it can do: of tiny pictures, of a wide network, and of pictures that are work."""
    photograph = encoded(Image.fromarray(data.astronaut()).resize((MEDIUM, MEDIUM)), "JPEG", quality=90)
    medium = Call(f"/predict?model={MODELS[0]}&resize=none", photograph, "image/jpeg", guarded())
    those = [
        (MODELS[0], "32x32 PNG", None),
        (wide.NAME, "32x32 PNG", None),
        (MODELS[0], f"{MEDIUM}x{MEDIUM} JPEG, not resized", medium),
    ]
    cases = []
    for name, what, call in those[1:2] if bench.quick else those:
        contender = bench.us(name)
        way = contender.ways[0]
        with bench.running(name, contender):
            cases += overload(bench, way.server.port, call or way.call, {"model": name, "picture": what})
    return {"overload": cases}


def overload(bench, port, call, case, factors=(1, 2, 5)):
    seconds = 2 if bench.quick else 5
    load.wrk(port, call, 64, 2, refusals=True)
    peak = max(load.wrk(port, call, 64, 4, refusals=True)["rate"] for _ in range(2))
    if not peak:
        raise LoadError(f"{call.path}: nothing was answered in four seconds")
    for factor in factors[-1:] if bench.quick else factors:
        found = load.overload(port, call, factor * peak, seconds)
        after = load.wrk(port, call, 64, 1, refusals=True)["rate"]
        print(
            f"\n{case['model']}, {case['picture']}, {factor}x its {peak:,.0f}/s: offered {found['offered']:,.0f}/s,"
            f" answered {found['good']:,.0f}/s = {found['good'] / peak:.0%} of peak in {found['good_ms']};"
            f" refused {found['refused']:,.0f}/s in {found['refused_ms']}; others {found['other_statuses']};"
            f" client {found['client_cores']:.2f} cores; afterwards {after:,.0f}/s",
            flush=True,
        )
        yield {**case, "peak": round(peak), "factor": factor, **found, "rate_after": round(after)}


def apart(bench):
    """Five times the peak with a core for the server and one for the client, ours beside one written by hand.

    On shared cores a flood takes time from the server that it would have to itself elsewhere. Peak and overload are
    measured alike. What a server without any work or refusals keeps is what the connections alone cost.
    """
    cores = sorted(os.sched_getaffinity(0))
    servers_core, clients_core = {cores[0]}, {cores[-1]}
    cases = []
    for name in MODELS:
        those = [(f"ours, {name}", bench.us(name).ways[0])]
        hand = by_hand(bench.model(name), bench.ports, bench.picture).ways[0]
        those += [(f"by hand, {name}", hand)]
        for who, way in those:
            os.sched_setaffinity(0, servers_core)
            way.server.start(bench.folder / f"{way.server.port}.log")
            os.sched_setaffinity(0, clients_core)
            try:
                way.server.wait_for(way.call)
                time.sleep(SETTLING_S)
                cases += overload(bench, way.server.port, way.call, {"model": who, "picture": "32x32 PNG"}, (5,))
            finally:
                way.server.stop()
                os.sched_setaffinity(0, cores)
    return {"apart": cases}


def liveness(bench):
    """How long health takes while large pictures are worked on."""
    found = {}
    seconds = 3 if bench.quick else 10
    port = bench.ports.take()
    server = ours(port)
    cases = {"/predict?model=cifar10-conv&resize=none": 4, "nothing else": 0, "/activations?resize=none": 2}
    try:
        server.start(bench.folder / f"{port}.log")
        server.wait_until_ready()
        time.sleep(SETTLING_S)
        for path, connections in list(cases.items())[: 1 if bench.quick else None]:
            with load.in_background(port, Call(path, bench.large, "image/jpeg", guarded()), connections, seconds + 2):
                time.sleep(1)
                times = load.probe(port, "/v2/health/live", PROBES, seconds)
            found[path] = load.percentiles(times)
            print(f"health while {path} x {connections}: {found[path]} ms", flush=True)
    finally:
        server.stop()
    return {"liveness": found}
