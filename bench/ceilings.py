"""A section of bench/serve.py: what nothing on this machine can exceed."""

import json
import sys
import time

import contenders
import load
import numpy as np
import onnxruntime as ort
import wide
from servers import Call, Server
from turns import CONNECTIONS, MODELS

RAW_S = 2.0


def limits(bench):
    """What nothing can exceed: uvicorn without an application, FastAPI without work, ONNX Runtime without HTTP."""
    environment = {"MODEL": bench.model(MODELS[0]), "INTRA": 1}
    found = {"asgi": {}, "fastapi": {}, "onnxruntime": {}}
    for name, application in (("asgi", "hand:plain"), ("fastapi", "hand:app")):
        port = bench.ports.take()
        uvicorn = [sys.executable, "-m", "uvicorn", "--app-dir", contenders.PEERS, application, *contenders.UVICORN]
        server = Server(name, [*uvicorn, "--port", port], port, environment)
        call = Call("/noop", bench.picture, "image/png")
        try:
            server.start(bench.folder / f"{port}.log")
            server.wait_for(call)
            for connections in CONNECTIONS[1:2] if bench.quick else CONNECTIONS:
                load.wrk(port, call, connections, 1)
                each = load.wrk(port, call, connections, bench.seconds)
                found[name][connections] = {
                    "rate": round(each["rate"]),
                    "client_cores": round(each["client_cores"], 2),
                }
        finally:
            server.stop()
    for name in (*MODELS, wide.NAME):
        found["onnxruntime"][name] = raw(bench.model(name), bench.pixels, bench.quick)
    for kind, rates in found.items():
        print(kind, json.dumps(rates), flush=True)
    return {"limits": found}


def raw(model, pixels, quick):
    """Images a second of ONNX Runtime called in a loop, by threads of a run and images of a batch."""
    rates = {}
    for threads in (1, 0):
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        session = ort.InferenceSession(model, options)
        for batch in (1, 16):
            images = np.repeat(pixels[None], batch, 0)
            session.run(["logits"], {"image": images})  # warms up
            runs, start = 0, time.perf_counter()
            while time.perf_counter() < start + (0.3 if quick else RAW_S):
                session.run(["logits"], {"image": images})
                runs += 1
            rates[f"{threads or 'all'} threads, batch {batch}"] = round(batch * runs / (time.perf_counter() - start))
    return rates
