"""How many workers and machines: service times that were measured, put into a simulation of queues, and checked.

What a question takes comes from bench/results/serve.json (processor time of one process, of whoever asks, and of
ONNX Runtime), bench/results/map.json (photographs, and the search of gigapixels) and a short measurement of the
networks here, of which only the ratio to each other counts. bench/queueing.py simulates it, and that is compared with
the rates in serve.json: of one process of ours, of two of a service by hand, and of 1, 2 and 4 workers of ours where
`bench/serve.py` has measured those (sections `workers-MODEL`), by the processor time that one worker took in that run.
Then the same service times say how many machines a
million pictures a second need, and 10 gigapixels searched in a second; what is assumed beside them is in ASSUMED.
Writes bench/results/scale.json and docs/pictures/scale.png.

    python bench/scale.py
"""

import json
import math
import os
import random
import statistics
import time
from heapq import heapreplace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from queueing import Demand, Machine, by_arrivals, by_connections, capacity, most_within, without_client

from models.cards.catalogue import bundled_repository, find
from service.repository.loader import load_entry

BENCH = Path(__file__).parent
RESULTS = BENCH / "results" / "scale.json"
PICTURE = BENCH.parent / "docs" / "pictures" / "scale.png"
MODELS = "cifar10-conv", "cifar10-scs"
PHOTOGRAPH = "12 megapixels"
BYTES = {**dict.fromkeys(MODELS, 3_000), PHOTOGRAPH: 5_000_000}  # of a PNG of 32x32 and a JPEG, with their headers
MEASURED_AT = 16  # connections
RUNS = 60
ASSUMED = {
    "cores of a machine": 64,  # each as fast as one of those measured, with no loss by what they share
    "network card, Gbit/s": 25,
    "part of it that is used": 0.7,
    "p99 that is promised, ms": 50,
    "copies to a GPU, GB/s": 25,  # what PCIe 4.0 x16, of 31.5 in theory, gives in practice
    "pictures a second to answer": 1e6,
    "gigapixels to search": 10,
    "tile, pixels": 1024 * 1024,
    "spread of a tile's time": 0.1,
}


def main():
    served, mapped = (json.loads((BENCH / "results" / f"{name}.json").read_text()) for name in ("serve", "map"))
    ratio = network_ratio()
    times = {model: service_times(served, model, ratio) for model in MODELS}
    times[PHOTOGRAPH] = Demand(heavy_s=photograph_s(mapped))
    report = {"network of cifar10-scs by that of cifar10-conv": round(ratio, 2)}
    report["service times, us"] = {
        name: {each: round(1e6 * getattr(demand, each), 1) for each in ("loop_s", "network_s", "heavy_s", "client_s")}
        for name, demand in times.items()
    }
    report["checked"] = [row for model in MODELS for row in checks(served, model, times[model])]
    report["errors, median and largest"] = {
        key: [round(value, 2) for value in spread_of_errors(report["checked"], f"error_of_{key}")]
        for key in ("rate", "p99")
    }
    report["assumed"] = ASSUMED
    report["a million pictures a second"] = [million(name, demand) for name, demand in times.items()]
    report["ten gigapixels in a second"] = gigapixels(mapped)
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")
    draw(report["checked"], times)
    print(json.dumps(report, indent=1))


def network_ratio():
    """What the network of SCS takes by what that of convolution takes, as the service runs them; processor time."""
    images = np.zeros((MEASURED_AT, 32, 32, 3), np.uint8)
    runtimes = [load_entry(find(bundled_repository(), model), "cpu", False).runtime for model in MODELS]
    taken = [[], []]
    for _ in range(RUNS):
        for runtime, each in zip(runtimes, taken, strict=True):
            began = time.process_time()
            runtime.logits(images)
            each.append(time.process_time() - began)
    conv_s, scs_s = map(statistics.median, taken)
    return scs_s / conv_s


def service_times(served, model, ratio):
    """What a question takes in one process, all but the network on its event loop."""
    side = side_of(served, model, MEASURED_AT, "ours")
    network_s = 1 / served["limits"]["onnxruntime"][MODELS[0]][f"1 threads, batch {MEASURED_AT}"]
    network_s *= ratio if model == MODELS[1] else 1.0
    client_s = side["client_cores"] / side["rate"]["median"]
    return Demand(side["cpu_us"] / 1e6 - network_s, network_s, client_s=client_s)


def side_of(served, model, connections, name):
    cases = (each for each in served["cases"] if (each["model"], each["upload"]) == (model, "png"))
    return next(each["sides"][name] for each in cases if each["connections"] == connections)


def photograph_s(mapped):
    """A photograph, read, resized and classified; the start of the script is in it."""
    name, found = next((name, each) for name, each in mapped.items() if "photographs" in name)
    return found["sides"]["pool by hand"]["processor_s"] / int(name.split()[0])


def checks(served, model, demand):
    """What was measured beside what is simulated; service times come from one process at 16 connections alone.

    Workers were measured apart, when the cores were as much slower as a question took them more time.
    """
    cases = [each for each in served["cases"] if (each["model"], each["upload"]) == (model, "png")]
    by_hand = Demand(side_of(served, model, MEASURED_AT, "by hand")["cpu_us"] / 1e6, client_s=demand.client_s)
    measured = [("by hand", 2, by_hand, case["connections"], case["sides"]["by hand, 2 processes"]) for case in cases]
    measured += [("ours", 1, demand, case["connections"], case["sides"]["ours"]) for case in cases]
    of_workers = {case["connections"]: case["sides"] for case in served.get(f"workers-{model}", [])}
    if of_workers:
        slower = of_workers[MEASURED_AT]["1 worker"]["cpu_us"] / side_of(served, model, MEASURED_AT, "ours")["cpu_us"]
        then = Demand(slower * demand.loop_s, slower * demand.network_s, client_s=slower * demand.client_s)
        measured += [
            ("workers", workers, then, connections, sides[name])
            for workers, name in ((1, "1 worker"), (2, "ours"), (4, "4 workers"))
            for connections, sides in of_workers.items()
        ]
    return [checked(model, *each) for each in measured]


def machine_of(cores, workers):
    return Machine(cores, workers, heavy_workers=cores)


def checked(model, who, workers, demand, connections, side):
    said = by_connections(machine_of(2, workers), demand, connections, 0.8)
    rate, p99_ms = side["rate"]["median"], side["p99_ms"]["median"]
    return {
        "case": model,
        "who": who,
        "workers": workers,
        "connections": connections,
        "rate": rate,
        "predicted_rate": round(said.rate),
        "error_of_rate": round(said.rate / rate - 1, 2),
        "p99_ms": p99_ms,
        "predicted_p99_ms": round(1000 * said.percentile_s(99), 2),
        "error_of_p99": round(1000 * said.percentile_s(99) / p99_ms - 1, 2),
    }


def million(name, demand):
    """Machines for a million pictures a second, by each of what they need; the most is what decides."""
    cores, wanted = ASSUMED["cores of a machine"], ASSUMED["pictures a second to answer"]
    demand, machine = without_client(demand), machine_of(cores, cores)
    promised_s = max(ASSUMED["p99 that is promised, ms"] / 1000, 3 * (demand.loop_s + demand.heavy_s))
    # A machine of a few cores is simulated, and the rest follows by their number: which errs on the safe side.
    part = machine_of(4, 4)
    rate = most_within(part, demand, promised_s, seconds=5_000 / capacity(part, demand)) * cores / 4
    on_a_gpu = Demand(demand.loop_s, 0.0, demand.heavy_s, variation=demand.variation)
    card = ASSUMED["network card, Gbit/s"] * 1e9 / 8 * ASSUMED["part of it that is used"]
    values = 3 * 32 * 32  # what a network gets, a byte each
    machines = {
        "cores": math.ceil(wanted / rate),
        "cores, were networks on a GPU": math.ceil(wanted / (rate * capacity(part, on_a_gpu) / capacity(part, demand))),
        "network cards": math.ceil(wanted * BYTES[name] / card),
        "links to GPUs": math.ceil(wanted * values / (ASSUMED["copies to a GPU, GB/s"] * 1e9)),
    }
    use = rate / capacity(machine, demand)
    return {"case": name, "rate of a machine": round(rate), "use of its cores": round(use, 2), "machines": machines}


def gigapixels(known):
    """Cores, machines and network for a search of 10 gigapixels in a second, by the time that two gigapixels took."""
    name, found = next((name, each) for name, each in known.items() if "gigapixels" in name)
    tile_s = found["sides"]["scs map"]["processor_s"] / (float(name.split()[0]) * 1e9) * ASSUMED["tile, pixels"]
    pixels = ASSUMED["gigapixels to search"] * 1e9
    tiles = math.ceil(pixels / ASSUMED["tile, pixels"])
    least = math.ceil(tiles * tile_s)
    cores = next(cores for cores in range(least, 20 * least, max(1, least // 50)) if slowest(tiles, tile_s, cores) <= 1)
    card = ASSUMED["network card, Gbit/s"] * 1e9 / 8 * ASSUMED["part of it that is used"]
    return {
        "seconds of a tile": round(tile_s, 4),
        "tiles": tiles,
        "cores, by their time": least,
        "cores, with those that wait for the last tile": cores,
        "machines, by cores": math.ceil(cores / ASSUMED["cores of a machine"]),
        "machines, by network cards": math.ceil(pixels / card),
    }


def slowest(tiles, tile_s, cores, turns=20):
    """Seconds until the last tile is done, in 19 of 20 turns; each core takes the next tile."""
    dice, shape = random.Random(0), ASSUMED["spread of a tile's time"] ** -2
    ends = []
    for _ in range(turns):
        free = [0.0] * cores
        for _ in range(tiles):
            heapreplace(free, free[0] + dice.gammavariate(shape, tile_s / shape))
        ends.append(max(free))
    return sorted(ends)[-2]


def draw(rows, times):
    """Throughput and p99 by connections, measured and simulated; and p99 by machines for a million a second."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 3.8), layout="constrained")
    for model, colour in zip(MODELS, ("#2f6ea5", "#b8690f"), strict=True):
        for who, workers, mark in (("ours", 1, "o"), ("by hand", 2, "s")):
            kept = [each for each in rows if (each["case"], each["who"], each["workers"]) == (model, who, workers)]
            connections = [str(each["connections"]) for each in kept]
            label = f"{model}, {who}, {workers} process{'es' if workers > 1 else ''}"
            for axes, key in ((left, "rate"), (middle, "p99_ms")):
                axes.plot(connections, [each[key] for each in kept], f"{mark}-", color=colour, label=label)
                axes.plot(connections, [each[f"predicted_{key}"] for each in kept], "x:", color=colour)
        demand, cores = without_client(times[model]), ASSUMED["cores of a machine"]
        most = capacity(machine_of(4, 4), demand)
        uses = (0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95)
        late_ms = [1000 * by_arrivals(machine_of(4, 4), demand, use * most, 0.4).percentile_s(99) for use in uses]
        right.plot([1e6 / (use * most * cores / 4) for use in uses], late_ms, ".-", color=colour, label=model)
    left.set(title="two cores: measured (lines), simulated (x)", ylabel="pictures a second", ylim=0)
    middle.set(title="two cores: measured (lines), simulated (x)", ylabel="p99, ms", yscale="log")
    right.set(title="a million pictures a second, simulated", ylabel="p99, ms", ylim=0)
    right.set_xlabel(f"machines of {ASSUMED['cores of a machine']} cores")
    for axes in (left, middle):
        axes.set_xlabel("connections")
    left.legend(frameon=False, fontsize=7)
    right.legend(frameon=False, fontsize=8)
    for axes in (left, middle, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(PICTURE, dpi=80)


def spread_of_errors(rows, key):
    """Median of the errors' sizes, and the largest."""
    sizes = [abs(each[key]) for each in rows]
    return statistics.median(sizes), max(sizes)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
