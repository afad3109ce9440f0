"""The contenders of bench/serve.py: for each, its servers and the ways in which it may be asked."""

import json
import math
import os
import secrets
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from servers import Call, Server, base64_tensor, form
from venvs import InstallError, venv, versions

ROOT = Path(__file__).parent.parent
PEERS = Path(__file__).parent / "peers"
CORES = len(os.sched_getaffinity(0))
KEY = secrets.token_urlsafe(32)
UVICORN = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
LITSERVE = [  # largest batch, seconds to wait for it, workers, fast queue, threads of a run (0: all cores)
    (16, 0.0, 1, False, 1),
    (16, 0.002, 1, False, 1),
    (16, 0.002, 1, False, 0),
    (16, 0.002, 1, True, 1),
    (16, 0.0, 2, False, 1),
    (16, 0.002, 2, False, 1),
    (16, 0.002, 2, True, 1),
    (64, 0.002, 1, False, 0),
    (64, 0.002, 2, False, 1),
]
LITSERVE_QUICK = LITSERVE[1:2]


@dataclass(frozen=True)
class Way:
    """One of the ways in which a contender can be set up and asked."""

    label: str
    server: Server
    call: Call


@dataclass
class Contender:
    """A contender, the packages that it runs on, or why it could not be had."""

    name: str
    ways: list[Way]
    versions: dict = field(default_factory=dict)
    missing: str | None = None


class Ports:
    """Free ones, one after the other."""

    def __init__(self, first):
        self.next = first

    def take(self, count=1):
        self.next += count
        return self.next - count


# How an answer's body and headers say the share of each class.


def of_peer(body, headers):
    return {each["index"]: each["probability"] for each in json.loads(body)["classes"]}


def of_form_peer(body, headers):
    (answer,) = json.loads(body)
    return {each["index"]: each["probability"] for each in answer["classes"]}


def of_ours(body, headers):
    (prediction,) = json.loads(body)["predictions"]
    return {each["index"]: each["probability"] for each in prediction["classes"]}


def of_mlserver(body, headers):
    (output,) = json.loads(body)["outputs"]
    return dict(enumerate(output["data"]))


def of_binary(body, headers):
    logits = np.frombuffer(body[int(headers["Inference-Header-Content-Length"]) :], np.float32).astype(float)
    powers = np.exp(logits - logits.max())
    return dict(enumerate(powers / powers.sum()))


def check(call, port, expected):
    """The top class is that of ONNX Runtime itself, and every share that is told.

    Raises:
        AssertionError: what came instead.
    """
    status, headers, body = call.send(port)
    assert status == 200, f"{call.path} answered {status}: {body[:200]}"
    shares = call.shares(body, headers)
    assert len(shares) >= 5, f"{call.path} told {len(shares)} classes"
    assert max(shares, key=shares.get) == int(expected.argmax()), f"{call.path} gave another class"
    for index, share in shares.items():
        assert math.isclose(share, expected[index], rel_tol=1e-3, abs_tol=1e-4), f"{call.path}: {index} is {share}"


def ours(port, settings=None, key=KEY):
    """The service as ``scs serve`` starts it, with a key."""
    environment = {"PYTHONPATH": ROOT, "SCS_PORT": port, **({"SCS_API_KEY": key} if key else {}), **(settings or {})}
    return Server("ours", [sys.executable, "-m", "service.cli", "serve"], port, environment, ROOT)


def guarded(key=KEY):
    return {"X-API-Key": key} if key else {}


def our_calls(name, picture, pixels, key=KEY):
    """The same picture as a body, as a form, and as a tensor of pixels."""
    made, form_type = form(picture)
    path = f"/predict?model={name}"
    size = pixels.size
    tensor = {"name": "image", "shape": [1, *pixels.shape], "datatype": "UINT8"}
    asked = {
        "inputs": [{**tensor, "parameters": {"binary_data_size": size}}],
        "outputs": [{"name": "logits", "parameters": {"binary_data": True}}],
    }
    head = json.dumps(asked).encode()
    length = {"Inference-Header-Content-Length": str(len(head))}
    return {
        "png": Call(path, picture, "image/png", guarded(key), of_ours),
        "form": Call(path, made("file"), form_type, guarded(key), of_ours),
        "binary": Call(
            f"/v2/models/{name}/infer",
            head + pixels.tobytes(),
            "application/octet-stream",
            {**length, **guarded(key)},
            of_binary,
        ),
    }


def by_hand(model, ports, picture, upload="png"):
    """(a): FastAPI and ONNX Runtime by hand, on one thread or all, in the event loop or beside it."""
    made, form_type = form(picture)
    ways = []
    for threads in (1, 0):
        environment = {"MODEL": model, "INTRA": threads}
        command = [sys.executable, "-m", "uvicorn", "--app-dir", PEERS, "hand:app", *UVICORN, "--port"]
        server = Server("by hand", [*command, port := ports.take()], port, environment)
        for path in ("/predict", "/predict-on-a-thread"):
            label = f"{'def' if 'thread' in path else 'async def'}, {threads or 'all'} threads"
            if upload == "form":
                call = Call(path.replace("predict", "predict-form"), made("file"), form_type, {}, of_peer)
            else:
                call = Call(path, picture, "image/png", {}, of_peer)
            ways.append(Way(label, server, call))
    return Contender("by hand", ways, versions(sys.executable, "uvloop", "httptools"))


def by_two_hands(model, ports, picture):
    """The same in as many processes as there are cores, which share the port."""
    command = [sys.executable, "-m", "uvicorn", "--app-dir", PEERS, "hand:app", *UVICORN, "--workers", CORES, "--port"]
    server = Server("by hand", [*command, port := ports.take()], port, {"MODEL": model, "INTRA": 1})
    way = Way("async def, 1 threads", server, Call("/predict", picture, "image/png", {}, of_peer))
    return Contender(f"by hand, {CORES} processes", [way])


def litserve(folder, model, ports, picture, grid):
    """(b): LitServe with batching."""
    try:
        programs = venv(folder, "litserve")
    except InstallError as error:
        return Contender("LitServe", [], missing=str(error))
    ways = []
    for batch, wait, workers, fast, threads in grid:
        port = ports.take()
        command = [programs / "python", PEERS / "lit.py", "--port", port, "--batch", batch, "--timeout", wait]
        command += ["--workers", workers, *(["--fast-queue"] if fast else [])]
        server = Server("LitServe", command, port, {"MODEL": model, "INTRA": threads})
        label = f"batch {batch}, wait {1000 * wait:g} ms, workers {workers}{', fast queue' if fast else ''}"
        label += f", {threads or 'all'} threads"
        ways.append(Way(label, server, Call("/predict", picture, "image/png", {}, of_peer)))
    return Contender("LitServe", ways, versions(programs / "python", "litserve"))


def mlserver(folder, model, ports, picture, place):
    """(c): MLServer in one process: its protocol with batching, or a route of its own without."""
    try:
        programs = venv(folder, "mlserver")
    except InstallError as error:
        return Contender("MLServer", [], missing=str(error))
    place.mkdir(parents=True)
    port = ports.take(3)
    named = {"name": "classifier", "implementation": "ml.Classifier", "max_batch_size": 16, "max_batch_time": 0.002}
    (place / "model-settings.json").write_text(json.dumps(named))
    settings = {"host": "127.0.0.1", "http_port": port, "grpc_port": port + 1, "metrics_port": port + 2}
    (place / "settings.json").write_text(json.dumps({**settings, "parallel_workers": 0, "debug": False}))
    environment = {"MODEL": model, "INTRA": 1, "PYTHONPATH": PEERS}
    server = Server("MLServer", [programs / "mlserver", "start", place], port, environment, place)
    infer = Call("/v2/models/classifier/infer", base64_tensor(picture), "application/json", {}, of_mlserver)
    ways = [
        Way("a route of its own, raw body", server, Call("/predict", picture, "image/png", {}, of_peer)),
        Way("v2 with base64, batch 16, wait 2 ms", server, infer),
    ]
    return Contender("MLServer", ways, versions(programs / "python", "mlserver"))


def bentoml(folder, model, ports, picture):
    """(c): BentoML in one process: with batching a form, without it a raw body."""
    try:
        programs = venv(folder, "bentoml")
    except InstallError as error:
        return Contender("BentoML", [], missing=str(error))
    port = ports.take()
    made, form_type = form(picture)
    command = [programs / "bentoml", "serve", "bento:Classifier", "--host", "127.0.0.1", "--port", port]
    environment = {"MODEL": model, "INTRA": 1, "BATCH": 16, "BENTOML_DO_NOT_TRACK": "True"}
    server = Server("BentoML", command, port, environment, PEERS)
    ways = [
        Way("raw body", server, Call("/single", picture, "image/png", {}, of_peer)),
        Way("form, batch 16", server, Call("/predict", made("pictures"), form_type, {}, of_form_peer)),
    ]
    return Contender("BentoML", ways, versions(programs / "python", "bentoml"))
