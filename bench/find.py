"""How fast one template is found: scs.matching.finding.find against a pyramid in OpenCV, and matchTemplate whole.

The pyramid is what experts write: scene and template shrunk to a quarter, five peaks followed up at full size. It gives
a place and a score; ours a verdict beside them. All run in turns on the same pixels, on all cores. Beside the time on
the clock stands the processor time of all threads, which another busy process changes less. Prints a table and writes
bench/results/find.json. Needs scikit-image.

    python bench/find.py [--turns 8] [--only 1920x1080]
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import cv2
from match import cut, mosaic, opencv
from timing import show, summary

from scs.matching.finding import Search, find
from scs.matching.upright import find_in_maps

RESULTS = Path(__file__).parent / "results" / "find.json"
SIZES = {"1920x1080": (1080, 1920), "3840x2160": (2160, 3840), "4000x3000": (3000, 4000), "8192x6144": (6144, 8192)}
SIDES = 64, 256, 800
NUMBER = 1  # of the templates that bench/match.py cuts: one of some contrast in each of the scenes
BANK = 100
FACTOR, FOLLOWED = 4, 5
TIMED = 2  # calls in a turn, after one that finds caches cold


def shrunk(picture):
    return cv2.resize(picture, None, fx=1 / FACTOR, fy=1 / FACTOR, interpolation=cv2.INTER_AREA)


def pyramid(scene, template, small=None):
    """The best place: score, column and row."""
    scores = cv2.matchTemplate(shrunk(scene) if small is None else small, shrunk(template), cv2.TM_CCOEFF_NORMED)
    best = (-1.0, 0, 0)
    for _ in range(FOLLOWED):
        _, _, _, (column, row) = cv2.minMaxLoc(scores)
        scores[max(0, row - 2) : row + 3, max(0, column - 2) : column + 3] = -1
        top, left = max(0, (row - 1) * FACTOR), max(0, (column - 1) * FACTOR)
        height, width = template.shape
        part = scene[top : (row + 1) * FACTOR + height + 1, left : (column + 1) * FACTOR + width + 1]
        _, score, _, (right, down) = cv2.minMaxLoc(opencv(part, template))
        best = max(best, (score, left + right, top + down))
    return best


def bank_pyramid(scene, templates):
    small = shrunk(scene)
    return [pyramid(scene, template, small) for template in templates]


def compare(size, side, turns):
    height, width = SIZES[size]
    scene = mosaic(height, width)
    template = cut(scene, side, NUMBER)
    ways = {
        "find": lambda: find(scene, [template]),
        "pyramid": lambda: pyramid(scene, template),
        "whole map": lambda: find_in_maps(scene, [template], [None], Search()),
        "matchTemplate": lambda: cv2.minMaxLoc(opencv(scene, template)),
    }
    return measured(f"{size}, {side}x{side}", ways, turns)


def compare_bank(turns):
    size = "1920x1080"
    scene = mosaic(*SIZES[size])
    templates = [cut(scene, number=number) for number in range(BANK)]
    ways = {"find": lambda: find(scene, templates), "pyramid": lambda: bank_pyramid(scene, templates)}
    return measured(f"{size}, {BANK} templates of 64x64", ways, turns)


def measured(case, ways, turns):
    taken, processor = {name: [] for name in ways}, {name: [] for name in ways}
    for _ in range(turns):
        for name, way in ways.items():
            way()
            for _ in range(TIMED):
                start, started = time.perf_counter(), time.process_time()
                way()
                taken[name].append(1000 * (time.perf_counter() - start))
                processor[name].append(1000 * (time.process_time() - started))
    times = {
        name: {**summary(each), "processor_ms": round(statistics.median(processor[name]), 4)}
        for name, each in taken.items()
    }
    print(case)
    for name, each in times.items():
        ratios = [each[key] / times["find"][key] for key in ("median_ms", "processor_ms")]
        print(
            f"  {name:<15}{show(each):<30}{each['processor_ms']:>10.2f} {ratios[0]:.2f}x {ratios[1]:.2f}x", flush=True
        )
    return {"case": case, **times}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=8)
    parser.add_argument("--only", nargs="+", choices=[*SIZES, "bank"], default=[*SIZES, "bank"])
    options = parser.parse_args()
    cases = [compare(size, side, options.turns) for size in SIZES if size in options.only for side in SIDES]
    if "bank" in options.only:
        cases.append(compare_bank(options.turns))
    known = {} if not RESULTS.exists() else {each["case"]: each for each in json.loads(RESULTS.read_text())["cases"]}
    known.update((each["case"], each) for each in cases)
    RESULTS.write_text(json.dumps({"opencv": cv2.__version__, "cases": list(known.values())}, indent=1) + "\n")


if __name__ == "__main__":
    main()
