"""A section of bench/serve.py: how long a start takes, and the memory that the service takes after it."""

import json
import time

import load
from contenders import guarded, our_calls, ours
from servers import Call
from turns import MODELS, spread

SETTLING_S = 5


def starting(bench):
    """From the start of the process to ready, and the memory that it takes."""
    times, held = [], {}
    for start in range(3 if bench.quick else 8):
        port = bench.ports.take()
        server = ours(port)
        began = time.perf_counter()
        server.start(bench.folder / f"{port}.log")
        try:
            server.wait_until_ready()
            times.append(time.perf_counter() - began)
            if start:
                continue
            time.sleep(SETTLING_S)  # what is warmed in the background has been
            held["idle"] = server.held_mib()
            for name in MODELS:
                call = our_calls(name, bench.picture, bench.pixels)["png"]
                load.wrk(port, call, 64, bench.seconds)
            held["after small pictures"] = server.held_mib()
            for path in ("/predict?resize=none", "/activations?resize=1024"):
                Call(path, bench.large, "image/jpeg", guarded()).send(port)
            held["after a large picture"] = server.held_mib()
        finally:
            server.stop()
    found = {
        "ready_s": spread(times[1:], 2),
        "held_mib": {name: round(each) for name, each in held.items()},
    }
    print("\nstart to ready, megabytes:", json.dumps(found), flush=True)
    return {"starting": found}
