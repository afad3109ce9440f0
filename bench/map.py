"""Many pictures, and a very large one: `scs map` beside plain scripts, in turns in one run.

Small PNGs and photographs of 12 megapixels are classified by `cifar10-conv`: by `scs map predict`, by a pool of
processes with Pillow and ONNX Runtime (bench/peers/pool.py) and, where a Python that has Ray is named, by `scs map
predict --ray` and by Ray Data by hand (bench/peers/ray_by_hand.py). A picture of two gigapixels is searched for a
template by `scs map match` and by OpenCV in strips (bench/peers/strips.py). What counts on a busy machine is processor
time, and the ratio of both times in a turn. Memory is the most that all processes of a side had at one moment, shared
pages divided among them (PSS).

Prints what each run took and writes bench/results/map.json. What it generates is deleted.

    python bench/map.py --small 20000 --photographs 100 --gigapixels 2 --ray-python ray/bin/python
"""

import argparse
import ctypes
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import tifffile
from PIL import Image

from models.cards.catalogue import bundled_repository, find
from scs.cores import usable_cores

ROOT = Path(__file__).parents[1]
PEERS = ROOT / "bench" / "peers"
RESULTS = ROOT / "bench" / "results" / "map.json"
MODEL = "cifar10-conv"
PLACES = (
    (5, 7),
    (1000, 20_000),
    (30_011, 41_003),
    (40_960, 30_720),
    (20_479, 33_791),
)  # of the template, row and column
TEMPLATE = 64
CHILD_SUBREAPER = 36  # prctl's name of who inherits orphans, whose processor time would be lost otherwise
SAMPLED_S = 0.2


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", type=int, default=100_000, help="PNGs of 32x32")
    parser.add_argument("--photographs", type=int, default=1_000, help="JPEGs of 4000x3000, links to ten of them")
    parser.add_argument("--gigapixels", type=float, default=2.0)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--ray-python", help="a Python that has Ray as well")
    asked = parser.parse_args()
    ctypes.CDLL(None).prctl(CHILD_SUBREAPER, 1)
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        folder = Path(folder)
        found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        names = ("onnxruntime", "pillow", "pyarrow", "opencv-python-headless", "tifffile", "zarr")
        found["about"] = {**found.get("about", {}), "cores": usable_cores(), **{name: version(name) for name in names}}
        for kind, count, make in (("small", asked.small, small), ("photographs", asked.photographs, photographs)):
            if count:
                make(folder / kind, count)
                with_ray = ", with Ray" if asked.ray_python else ""
                found[f"{count} {kind}{with_ray}"] = {
                    "turns": asked.turns,
                    **measure(many(folder, kind, asked.ray_python), asked.turns),
                }
                shutil.rmtree(folder / kind)
                RESULTS.write_text(json.dumps(found, indent=1) + "\n")
        if asked.gigapixels:
            shape = gigapixels(folder, asked.gigapixels)
            found[f"{asked.gigapixels:g} gigapixels"] = {"turns": 1, "shape": shape, **measure(searches(folder), 1)}
            RESULTS.write_text(json.dumps(found, indent=1) + "\n")


def many(folder, kind, ray_python):
    """The commands of each side, and where they write."""
    processes, out = str(usable_cores()), folder / "out"
    model = find(bundled_repository(), MODEL).folder / "model.onnx"
    ours = ["-m", "service.cli", "map", "predict", folder / kind, "--model", MODEL, "--out", out]
    theirs = [model, folder / kind, out, processes]
    sides = {"scs map": [sys.executable, *ours], "pool by hand": [sys.executable, PEERS / "pool.py", *theirs]}
    if ray_python:
        sides["scs map --ray"] = [ray_python, *ours, "--ray", "local"]
        sides["Ray Data by hand"] = [ray_python, PEERS / "ray_by_hand.py", *theirs]
    return sides, out


def searches(folder):
    out, picture, template = folder / "out", folder / "large.tif", folder / "template.png"
    ours = ["-m", "service.cli", "map", "match", picture, "--template", template, "--out", out, "--threshold", "0.5"]
    return {
        "scs map": [sys.executable, *ours],
        "OpenCV by strips": [sys.executable, PEERS / "strips.py", picture, template, str(usable_cores())],
    }, out


def measure(sides_and_out, turns):
    """Run each side in turns; what each took, and the median of its ratios to `scs map` in the same turn."""
    sides, out = sides_and_out
    taken = {side: [] for side in sides}
    for turn in range(turns):
        for side in [*sides][:: -1 if turn % 2 else 1]:
            taken[side].append(run(sides[side]))
            print(f"{side:20}", taken[side][-1], flush=True)
            shutil.rmtree(out) if out.is_dir() else out.unlink(missing_ok=True)
    return {"sides": {side: summary(each, taken["scs map"]) for side, each in taken.items()}}


def summary(taken, ours):
    found = {name: round(statistics.median(each[name] for each in taken), 2) for name in ("seconds", "processor_s")}
    found["memory_mb"] = round(max(each["memory_mb"] for each in taken))
    for name in ("seconds", "processor_s"):
        ratios = sorted(each[name] / own[name] for each, own in zip(taken, ours, strict=True))
        found[f"{name}_by_ours"] = [round(value, 2) for value in (ratios[0], statistics.median(ratios), ratios[-1])]
    return found


def run(command):
    """Run a command; seconds on the clock, processor time and most memory of all its processes."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "SCS_MAX_PIXELS": "50000000"}
    before, most, done = processor_s(), [0], threading.Event()
    started = time.perf_counter()
    process = subprocess.Popen([*map(str, command)], env=environment, stdout=subprocess.DEVNULL)
    watcher = threading.Thread(target=watch, args=[process.pid, most, done])
    watcher.start()
    status = process.wait()
    seconds = time.perf_counter() - started
    done.set()
    watcher.join()
    while True:  # those it left behind
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            break
    if status:
        raise SystemExit(f"{command} ended with {status}")
    return {"seconds": round(seconds, 2), "processor_s": round(processor_s() - before, 2), "memory_mb": most[0] / 2**20}


def processor_s():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def watch(root, most, done):
    while not done.wait(SAMPLED_S):
        most[0] = max(most[0], sum(map(memory, family(root))))


def family(root):
    """A process and all that came of it."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found, more = set(), {root}
    while more:
        found |= more
        more = {each for each, parent in parents.items() if parent in found} - found
    return found


def memory(process):
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    except (OSError, StopIteration):
        return 0


def small(folder, count):
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(count):
        Image.fromarray(random.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / f"{number:06d}.png")


def photographs(folder, count):
    folder.mkdir()
    cat = Image.open(ROOT / "docs" / "pictures" / "cat.jpg").convert("RGB")
    for number in range(count):
        path = folder / f"{number:04d}.jpg"
        if number < 10:
            cat.rotate(number).resize((4000, 3000)).save(path, quality=90)
        else:
            os.link(folder / f"{number % 10:04d}.jpg", path)


def gigapixels(folder, count):
    """Write smooth noise as a tiled TIFF, the template in it at each of ``PLACES``; its shape."""
    side, tile = round((count * 1e9) ** 0.5), 512
    random = np.random.default_rng(0)
    template = smooth(random, TEMPLATE)
    Image.fromarray(template).save(folder / "template.png")
    noise = smooth(random, 4 * tile)

    def tiles():
        for top in range(0, side, tile):
            for left in range(0, side, tile):
                row, column = random.integers(0, 3 * tile, 2)
                part = noise[row : row + tile, column : column + tile].copy()
                for y, x in PLACES:
                    plant(part, template, y - top, x - left)
                yield part

    with tifffile.TiffWriter(folder / "large.tif", bigtiff=True) as file:
        file.write(tiles(), shape=(side, side), dtype=np.uint8, tile=(tile, tile), photometric="minisblack")
    return [side, side]


def smooth(random, side):
    noise = cv2.GaussianBlur(random.standard_normal((side, side)), (0, 0), 3)
    return cv2.normalize(noise, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def plant(part, template, row, column):
    """Draw what of a template lies inside a part."""
    rows = slice(max(row, 0), max(0, min(row + TEMPLATE, part.shape[0])))
    columns = slice(max(column, 0), max(0, min(column + TEMPLATE, part.shape[1])))
    inside = template[rows.start - row : rows.stop - row, columns.start - column : columns.stop - column]
    if rows.start < rows.stop and columns.start < columns.stop:
        part[rows, columns] = inside


if __name__ == "__main__":
    main()
