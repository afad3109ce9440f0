"""Two hundred reloads while requests keep coming: does one fail, and does the memory come back?

    python bench/reloads.py [--reloads 200] [--port 9250]

``scs serve`` runs with a key; clients keep asking its one model, whose file and card are replaced before every load, in
turns by those of two networks. Every answer must be one of the two's, and the first one after a load the new one's.
Before that, as many moments are looked at without a reload, for comparison. Prints what came out, and writes
bench/results/reloads.json and docs/pictures/reloads.png. Needs Linux, scikit-image, scipy, matplotlib.
"""

import argparse
import io
import json
import os
import platform
import re
import sys
import threading
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
import onnxruntime as ort
from PIL import Image
from scipy import stats
from servers import Call, Server
from skimage import data

from models.cards.catalogue import bundled_repository, find

RESULTS = Path(__file__).parent / "results" / "reloads.json"
PICTURE = Path(__file__).parent.parent / "docs" / "pictures" / "reloads.png"
KEY = "key-of-a-server-for-one-benchmark"
NAME = "changing"
CONTENTS = "cifar10-scs", "cifar10-conv"
CLIENTS = 4
WARM_UP_S = 45  # of reloads that are not counted: a thread of a replaced model waits for work for 30 seconds
PAUSE_S = 0.1  # after each reload: requests on the new one
READING_S = 0.25  # between readings without reloads
BLOCK = 10  # neighbouring readings are alike, so the fit is through means of so many
TOLERANCE = 1e-4
IDLE_S = 2  # a client that was held up for so long begins anew: the server ends idle connections after five


def put(repository, source):
    """Let the changing model be another network: file first, card last, each replaced as one."""
    entry = find(bundled_repository(), source)
    folder = repository / NAME / "1"
    folder.mkdir(parents=True, exist_ok=True)
    card = entry.card().model_copy(update={"name": NAME, "version": 1})
    for name, content in ((card.file_name, entry.verified_bytes()), ("card.json", card.model_dump_json().encode())):
        (folder / ".unfinished").write_bytes(content)
        (folder / ".unfinished").replace(folder / name)


def first_class(body):
    best = json.loads(body)["predictions"][0]["classes"][0]
    return best["label"], best["probability"]


def same(one, other):
    return one[0] == other[0] and abs(one[1] - other[1]) < TOLERANCE


class Clients:
    """Connections that ask, each as soon as it has its answer, and count what is not right."""

    def __init__(self, call, port, right):
        self.call, self.port, self.right = call, port, right
        self.answered, self.failures, self.over = [0] * CLIENTS, [], threading.Event()
        self.threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(CLIENTS)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *error):
        self.over.set()
        for thread in self.threads:
            thread.join()

    def _ask(self, number):
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Content-Type": self.call.content_type, **self.call.headers}
        answered = time.monotonic()
        while not self.over.is_set():
            if time.monotonic() - answered > IDLE_S:
                connection.close()  # the server may be about to
            try:
                connection.request("POST", self.call.path, self.call.body, headers)
                answer = connection.getresponse()
                body = answer.read()
                if answer.status != 200:
                    self.failures.append(f"{answer.status}: {body[:200]!r}")
                elif not any(same(first_class(body), each) for each in self.right):
                    self.failures.append(f"neither network's answer: {body[:200]!r}")
            except (OSError, HTTPException) as error:
                self.failures.append(repr(error))
                connection.close()
            self.answered[number] += 1
            answered = time.monotonic()
        connection.close()


def resident(process):
    """Mebibytes."""
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process}/status").read_text())[1]) / 1024


def slope(readings):
    """Kibibytes a reading, with its 95% interval, through the means of blocks."""
    blocks = np.array(readings[: len(readings) // BLOCK * BLOCK]).reshape(-1, BLOCK).mean(1) * 1024
    fit = stats.linregress(np.arange(len(blocks)) * BLOCK, blocks)
    half = stats.t.ppf(0.975, len(blocks) - 2) * fit.stderr
    return {
        "kib": round(float(fit.slope), 2),
        "interval_95": [round(float(fit.slope - half), 2), round(float(fit.slope + half), 2)],
    }


def draw(without, readings):
    figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
    axes.plot(without, color="#999999", label="no reloads")
    axes.plot(readings, color="#0072b2", label="a reload at each")
    axes.set(xlabel="reading", ylabel="resident memory, MiB", ylim=(0, 1.2 * max(*without, *readings)))
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(PICTURE, dpi=100)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--reloads", type=int, default=200)
    parser.add_argument("--port", type=int, default=9250)
    arguments = parser.parse_args()

    picture = io.BytesIO()
    Image.fromarray(data.astronaut()).resize((32, 32)).save(picture, "PNG")
    key = {"X-API-Key": KEY}
    ask = Call(f"/predict?model={NAME}", picture.getvalue(), "image/png", key)
    load = Call(f"/v2/repository/models/{NAME}/load", b"{}", "application/json", key)
    with TemporaryDirectory() as temporary:
        repository = Path(temporary) / "models"
        put(repository, CONTENTS[0])
        environment = {
            "SCS_MODEL_REPOSITORY": repository,
            "SCS_DEFAULT_MODEL": NAME,
            "SCS_DEVICE": "cpu",
            "SCS_API_KEY": KEY,
        }
        command = [sys.executable, "-m", "service.cli", "serve", "--port", arguments.port]
        server = Server("scs serve", command, arguments.port, environment)
        server.start(Path(temporary) / "log")
        try:
            server.wait_for(ask)
            result = measure(server, repository, ask, load, arguments.reloads)
        finally:
            server.stop()
    without, readings = result["without_mib"], result["readings_mib"]
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    draw(without, readings)
    low, high = result["slope"]["interval_95"]
    print(
        f"{result['reloads']} reloads, {result['requests']} requests, {result['failed']} failed; a load took "
        f"{result['load_ms']['median']} ms (at most {result['load_ms']['most']})\n"
        f"memory: {readings[0]:.1f} MiB at first, {readings[-1]:.1f} at the end, {max(readings):.1f} at most; "
        f"slope {result['slope']['kib']} KiB a reload (95% {low} to {high}); "
        f"without reloads {result['slope_without']['kib']} {result['slope_without']['interval_95']}"
    )
    for failure in result["failures"]:
        print(failure)


def measure(server, repository, ask, load, reloads):
    port, process = server.port, server.process.pid
    answers = []
    for source in CONTENTS:
        put(repository, source)
        assert load.send(port)[0] == 200
        answers.append(first_class(ask.send(port)[2]))
    assert not same(*answers), "the two networks are told apart by their answers"
    took, stale = [], 0

    def reload(number):
        nonlocal stale
        which = number % 2
        put(repository, CONTENTS[which])
        begun = time.perf_counter()
        status, _, body = load.send(port)
        took.append(1000 * (time.perf_counter() - begun))
        if status != 200:
            clients.failures.append(f"load: {status} {body[:200]!r}")
        stale += not same(first_class(ask.send(port)[2]), answers[which])
        time.sleep(PAUSE_S)
        return resident(process)

    with Clients(ask, port, answers) as clients:
        without = []
        for _ in range(reloads):
            time.sleep(READING_S)
            without.append(resident(process))
        end = time.monotonic() + WARM_UP_S
        while time.monotonic() < end:
            reload(len(took))
        took.clear()
        readings = [reload(number) for number in range(reloads)]
    return {
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "onnxruntime": ort.__version__},
        "reloads": reloads,
        "requests": sum(clients.answered),
        "failed": len(clients.failures),
        "stale": stale,
        "failures": clients.failures[:5],
        "load_ms": {"median": round(float(np.median(took)), 1), "most": round(max(took), 1)},
        "slope": slope(readings),
        "slope_without": slope(without),
        "without_mib": [round(each, 2) for each in without],
        "readings_mib": [round(each, 2) for each in readings],
    }


if __name__ == "__main__":
    main()
