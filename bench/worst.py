"""The worst legal requests of every route, alone and ten at once: memory, health, and the next small request.

For each request that is allowed and takes most, a service is started and asked once, and by ten clients at once. Noted
are the most memory that its processes hold together (proportional set size, less what it held before), the longest
time until /v2/health/live answered, every 20 ms from when it was due, the answers' statuses, and the time from the last
answer until a small picture is answered by /predict.

Prints a table and writes bench/results/worst.json. `--before FOLDER` measures another checkout, with its own venv, too.

    python bench/worst.py
    python bench/worst.py --before ../before --only match
"""

import argparse
import base64
import http.client
import io
import json
import multiprocessing
import os
import statistics
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
from contenders import ROOT
from PIL import Image
from servers import Call, Server
from skimage import data

RESULTS = Path(__file__).parent / "results" / "worst.json"
CLIENTS = 10
PORT = 9300
EVERY_S = 0.02
MIB = 2**20
SETTINGS = {"SCS_DEVICE": "cpu", "SCS_HOST": "127.0.0.1"}


def encoded(pixels, kind, **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def photograph(height, width):
    cat = data.chelsea()
    return np.tile(cat, (-(-height // cat.shape[0]), -(-width // cat.shape[1]), 1))[:height, :width]


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def form(parts):
    """A multipart form of (field, file) pairs, with its content type."""
    pieces = [
        b"--edge\r\nContent-Disposition: form-data; name=%s; filename=f\r\n\r\n%s\r\n" % (field.encode(), content)
        for field, content in parts
    ]
    return b"".join(pieces) + b"--edge--\r\n", "multipart/form-data; boundary=edge"


def requests():
    """The worst that was found for each route, by name."""
    largest = encoded(photograph(7000, 7100), "JPEG", quality=60)
    analysed = encoded(photograph(2048, 2048), "JPEG", quality=80)
    thousand = encoded(photograph(1500, 1500), "JPEG", quality=80)
    small = encoded(photograph(300, 450), "PNG")
    screen = photograph(2160, 3840)
    blank = np.zeros((4096, 4096, 1), np.uint8)
    text = json.dumps({"images": [base64.b64encode(bytes(22 * MIB)).decode()]}).encode()
    numbers = json.dumps(
        {"inputs": [{"name": "image", "datatype": "UINT8", "shape": [1, 1400, 1400, 3], "data": [255] * 1400**2 * 3}]}
    ).encode()
    tensor = {"name": "image", "datatype": "UINT8", "shape": [1, 2048, 2048, 3]}
    head = json.dumps({"inputs": [{**tensor, "parameters": {"binary_data_size": 2048 * 2048 * 3}}]}).encode()
    binary = {"Inference-Header-Content-Length": str(len(head))}
    large_form = form([("file", thousand)] * 60)
    matched = form([("scene", encoded(screen, "PNG")), *[("template", encoded(screen[:200, :200], "PNG"))] * 8])
    posed = form([("scene", encoded(screen, "PNG")), ("template", encoded(screen[500:620, 700:900], "PNG"))])
    channels = form(
        [("scene", npy(np.ones((64, 64, 4096), np.uint8))), ("template", npy(np.ones((9, 9, 4096), np.uint8)))]
    )
    wide = form([("scene", npy(blank)), ("template", npy(blank[:3000, :3000]))])
    return {
        "predict: 50 megapixels": Call("/predict", largest, "image/jpeg"),
        "predict: 60 photographs": Call("/predict?top_k=10", *large_form),
        "predict: 4 megapixels as they are": Call("/predict?resize=none", analysed, "image/jpeg"),
        "predict: 30 MB of JSON": Call("/predict", text, "application/json"),
        "activations: 4 megapixels": Call("/activations?resize=none&channels=top8&layers=stem", analysed, "image/jpeg"),
        "activations: 2 megapixels, raw": Call(
            "/activations?resize=none&channels=top4", thousand, "image/jpeg", {"Accept": "application/x-npz"}
        ),
        "match: 8 templates in 4K": Call("/match", *matched),
        "match: any pose in 4K": Call("/match?angles=auto&scales=0.5:2", *posed),
        "match: 4096 channels": Call("/match", *channels),
        "match: template of 9 megapixels": Call("/match?method=scs", *wide),
        "infer: numbers in JSON": Call("/v2/models/cifar10-scs/infer", numbers, "application/json"),
        "infer: 4 megapixels": Call(
            "/v2/models/cifar10-scs/infer", head + bytes(2048 * 2048 * 3), "application/octet-stream", binary
        ),
    }, Call("/predict", small, "image/png")


def ask_for_health(port, worst, over):
    """Note the longest time until health answered, in a process of its own: threads would wait for each other."""
    while not over.wait(EVERY_S):
        due = time.perf_counter()
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("GET", "/v2/health/live")
            connection.getresponse().read()
            connection.close()
        except OSError:
            worst.value = 60.0
            return
        worst.value = max(worst.value, time.perf_counter() - due)


class Watching:
    """A context in which health is asked, and memory looked at, again and again."""

    def __init__(self, server):
        self.server, self.most_mib = server, 0.0
        self.over, self.worst = multiprocessing.Event(), multiprocessing.Value("d", 0.0)
        self.asking = multiprocessing.Process(target=ask_for_health, args=(server.port, self.worst, self.over))
        self.looking = threading.Thread(target=self._look, daemon=True)

    def __enter__(self):
        self.asking.start()
        self.looking.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.asking.join(60)
        self.looking.join(60)

    def _look(self):
        while not self.over.wait(5 * EVERY_S):
            self.most_mib = max(self.most_mib, self.server.held_mib())


def answered(call, server, statuses):
    try:
        statuses.append(call.send(server.port)[0])
    except OSError as error:
        statuses.append(type(error).__name__)


def measure(server, call, small, clients):
    """What one request does, sent by so many clients at once."""
    before, statuses = server.held_mib(), []
    with Watching(server) as watching:
        started = time.perf_counter()
        threads = [threading.Thread(target=answered, args=(call, server, statuses)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ended = time.perf_counter()
        next_statuses = []
        answered(small, server, next_statuses)
        after = time.perf_counter()
    return {
        "clients": clients,
        "statuses": dict(sorted(Counter(map(str, statuses)).items())),
        "seconds": round(ended - started, 2),
        "more_mib": round(watching.most_mib - before),
        "worst_health_ms": round(1000 * watching.worst.value),
        "next_ms": round(1000 * (after - ended), 1) if next_statuses == [200] else None,
    }


def run(root, port, only):
    """Measure a checkout: every request, on a server of its own."""
    found = {}
    calls, small = requests()
    python = root / ".venv/bin/python"
    for name, call in calls.items():
        if only not in name:
            continue
        environment = {**SETTINGS, "PYTHONPATH": root, "SCS_PORT": port}
        server = Server(name, [python, "-m", "service.cli", "serve"], port, environment, root)
        with tempfile.TemporaryDirectory() as folder:
            server.start(Path(folder) / "log")
            try:
                server.wait_for(small)
                time.sleep(4)  # for what is made ready once the port is open
                idle = round(server.held_mib())
                found[name] = {"idle_mib": idle, "each": [measure(server, call, small, n) for n in (1, CLIENTS)]}
            finally:
                server.stop()
        show(name, found[name])
    return found


def show(name, found):
    print(f"{name} (idle {found['idle_mib']} MiB)")
    for each in found["each"]:
        print(
            f"    {each['clients']:2} at once: {each['statuses']}, {each['seconds']} s, +{each['more_mib']} MiB, "
            f"health {each['worst_health_ms']} ms, next {each['next_ms']} ms",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, help="another checkout, with its own venv")
    parser.add_argument("--only", default="", help="measure requests with this in their names")
    asked = parser.parse_args()
    sides = {"after": ROOT, **({"before": asked.before.resolve()} if asked.before else {})}
    results = {}
    for side, root in sides.items():
        print(side)
        results[side] = run(root, PORT + len(results), asked.only)
    for side, found in results.items():
        worst = [each["worst_health_ms"] for name in found.values() for each in name["each"]]
        if worst:
            print(f"{side}: health {max(worst)} ms at worst, {statistics.median(worst)} ms in the middle")
    if not asked.only:
        RESULTS.write_text(json.dumps({"cores": len(os.sched_getaffinity(0)), **results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
