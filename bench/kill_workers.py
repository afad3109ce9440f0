"""What becomes of requests where workers of `scs serve --workers 2` are killed under load, two hundred times.

Eight clients ask without a pause. A tenth of a second after two workers serve, one of them is killed.
A request is lost with its worker if that had accepted its connection. None that another worker had may fail, every
answer is that to its own request, and all that were answered are counted, but for one that may be between its last
byte and its count when its worker is killed.

Prints what was found and writes it into bench/results/kills.json.

    python bench/kill_workers.py
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from contenders import ours
from PIL import Image
from skimage import data
from turns import encoded

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.service.supervisor.test_kills import KEY, figure, under_load

RESULTS = Path(__file__).parent / "results" / "kills.json"
PORT = 9460
PAUSE_S = 0.1
COUNTED = r'scs_requests_total\{model="[\w-]+",route="/predict",status="200"\}'


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    asked = parser.parse_args()
    url, server = f"http://127.0.0.1:{PORT}", ours(PORT, {"SCS_WORKERS": 2, "SCS_DEVICE": "cpu"}, KEY)
    with tempfile.TemporaryDirectory() as folder:
        server.start(Path(folder) / "log")
        try:
            server.wait_until_ready()
            began = time.perf_counter()
            picture = encoded(Image.fromarray(data.astronaut()).resize((32, 32)), "PNG")
            clients, victims = under_load(url, picture, asked.kills, PAUSE_S)
            seconds = time.perf_counter() - began
            counted = figure(url, COUNTED)
        finally:
            server.stop()
    found = {"cores": os.cpu_count(), **judged(clients, victims), "counted": round(counted), "seconds": round(seconds)}
    print(json.dumps(found, indent=1))
    results = json.loads(RESULTS.read_text())
    RESULTS.write_text(json.dumps({**results, "workers": found}, indent=1) + "\n")


def judged(clients, victims):
    answers = sum((client.answers for client in clients), Counter())
    lost = Counter(port for client in clients for port, _ in client.lost)
    of_the_dead = Counter(port for ports in victims for port in ports)
    return {
        "kills": len(victims),
        "answered": answers[200],
        "answered otherwise": answers.total() - answers[200],
        "with another's answer": sum(len(client.wrong) for client in clients),
        "lost with a killed worker": (lost & of_the_dead).total(),
        "lost of another worker": (lost - of_the_dead).total(),
    }


if __name__ == "__main__":
    main()
