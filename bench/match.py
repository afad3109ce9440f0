"""How fast templates are scored: scs.matching against OpenCV's matchTemplate and scikit-image's match_template.

Peers run in turns with ours, on the same pixels, each line in a process of its own; the largest difference of the
scores stands beside the ratio. Prints a table and writes bench/results/match.json. Needs scikit-image.

    python bench/match.py [--photograph FILE] [--seconds 4]

The scenes are mosaics of photographs that come with scikit-image at their own size, as full of detail as photographs
are; --photograph adds one of yours, at least 1920x1080, from which the same sizes are cut.
"""

import argparse
import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from skimage import data
from skimage.feature import match_template
from timing import interleaved, recorded, show, summary

from scs.matching import scores
from scs.matching.scores import score_map, score_maps

RESULTS = Path(__file__).parent / "results" / "match.json"
SIZES = {"640x480": (480, 640), "1920x1080": (1080, 1920), "3840x2160": (2160, 3840)}
TEMPLATE = 64
METHODS = {
    "sqdiff": cv2.TM_SQDIFF,
    "sqdiff_normed": cv2.TM_SQDIFF_NORMED,
    "ccorr": cv2.TM_CCORR,
    "ccorr_normed": cv2.TM_CCORR_NORMED,
    "ccoeff": cv2.TM_CCOEFF,
    "ccoeff_normed": cv2.TM_CCOEFF_NORMED,
}
SIDES = (3, 5, 6, 7, 8, 16, 64, 128, 300)  # those of docs/tables/matching.py
MOST_DIRECT = 12
BANK = 16
THREADS = len(os.sched_getaffinity(0))


def mosaic(height, width):
    """Photographs of different kinds side by side, none of them resized."""
    names = ("camera", "astronaut", "coffee", "chelsea", "rocket", "brick", "coins", "page", "grass", "moon")
    pictures = [grey(getattr(data, name)()) for name in names]
    scene = np.zeros((height, width), np.uint8)
    for number, (row, column) in enumerate(np.ndindex(-(-height // 300), -(-width // 384))):
        part = pictures[number % len(pictures)][:300, :384]
        there = scene[300 * row : 300 * (row + 1), 384 * column : 384 * (column + 1)]
        there[:] = np.pad(part, ((0, 300 - part.shape[0]), (0, 384 - part.shape[1])), "reflect")[
            : len(there), : there.shape[1]
        ]
    return scene


def grey(picture):
    return picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


def scene_names(photograph):
    names = [f"mosaic {size}" for size in SIZES]
    return names + [f"photograph {size}" for size in list(SIZES)[:2]] if photograph else names


def scene_named(name, photograph):
    kind, size = name.split()
    height, width = SIZES[size]
    if kind == "mosaic":
        return mosaic(height, width)
    return np.ascontiguousarray(cv2.imread(str(photograph), cv2.IMREAD_GRAYSCALE)[:height, :width])


def cut(scene, side=TEMPLATE, number=0):
    """A template out of the scene: places step through it."""
    rows, columns = scene.shape[0] - side, scene.shape[1] - side
    row, column = (rows // 3 + 97 * number) % rows, (columns // 3 + 211 * number) % columns
    return scene[row : row + side, column : column + side].copy()


def opencv(scene, template, method="ccoeff_normed"):
    return cv2.matchTemplate(scene, template, METHODS[method])


@dataclass
class Comparison:
    """One line: ours, its peers, and how far their results are apart."""

    case: str
    ours: Callable[[], object]
    peers: dict[str, Callable[[], object]]
    difference: float | None = None

    def measure(self, seconds):
        times = {name: summary(each) for name, each in interleaved({"ours": self.ours, **self.peers}, seconds).items()}
        mine = times.pop("ours")
        return {"case": self.case, "ours": mine, "peers": times, "difference": self.difference}


def comparisons(photograph):
    """Every line, each made only when it is asked for."""
    for name in scene_names(photograph):
        scene = functools.partial(scene_named, name, photograph)
        yield functools.partial(both_threads, name, scene)
        yield functools.partial(one_thread, name, scene)
        yield functools.partial(against_scikit_image, name, scene)
        yield functools.partial(similarities, name, scene)
    for name in [name for name in scene_names(photograph) if name.endswith("1920x1080")]:
        scene = functools.partial(scene_named, name, photograph)
        yield functools.partial(bank, name, scene)
    name = "mosaic 1920x1080"
    scene = functools.partial(scene_named, name, photograph)
    for method in METHODS:
        yield functools.partial(one_method, name, scene, method)
    for side in SIDES:
        yield functools.partial(one_side, name, scene, side)


def both_threads(name, make_scene):
    scene = make_scene()
    template = cut(scene)
    return Comparison(
        f"{name}, {TEMPLATE}x{TEMPLATE}, ccoeff_normed, {THREADS} threads",
        lambda: score_map(scene, template),
        {"opencv": lambda: opencv(scene, template)},
        apart(score_map(scene, template).scores, opencv(scene, template)),
    )


def one_thread(name, make_scene):
    scene = make_scene()
    template = cut(scene)
    cv2.setNumThreads(1)
    return Comparison(
        f"{name}, {TEMPLATE}x{TEMPLATE}, ccoeff_normed, 1 thread",
        lambda: score_map(scene, template, threads=1),
        {"opencv": lambda: opencv(scene, template)},
    )


def against_scikit_image(name, make_scene):
    scene = make_scene()
    template = cut(scene)
    return Comparison(
        f"{name}, {TEMPLATE}x{TEMPLATE}, ccoeff_normed, {THREADS} threads",
        lambda: score_map(scene, template),
        {"scikit-image": lambda: match_template(scene, template)},
        apart(score_map(scene, template).scores, match_template(scene, template)),
    )


def similarities(name, make_scene):
    scene = make_scene()
    template = cut(scene)
    return Comparison(
        f"{name}, {TEMPLATE}x{TEMPLATE}, ccoeff_normed beside scs",
        lambda: score_map(scene, template),
        {method: functools.partial(score_map, scene, template, method) for method in ("scs", "scs_centred")},
    )


def one_method(name, make_scene, method):
    scene = make_scene()
    template = cut(scene)
    expected = opencv(scene, template, method)
    spread = 1 if method.endswith("_normed") else float(expected.max() - expected.min())
    return Comparison(
        f"{name}, {TEMPLATE}x{TEMPLATE}, {method}, {THREADS} threads",
        lambda: score_map(scene, template, method),
        {"opencv": lambda: opencv(scene, template, method)},
        apart(score_map(scene, template, method).scores, expected) / spread,
    )


def bank(name, make_scene):
    """The best score of each template: maps are let go one after the other, as a search does."""
    scene = make_scene()
    templates = [cut(scene, number=number) for number in range(BANK)]
    return Comparison(
        f"{name}, {BANK} templates of {TEMPLATE}x{TEMPLATE}, ccoeff_normed, {THREADS} threads",
        lambda: [cv2.minMaxLoc(found.scores) for found in score_maps(scene, templates)],
        {f"opencv, {BANK} calls": lambda: [cv2.minMaxLoc(opencv(scene, template)) for template in templates]},
    )


def one_side(name, make_scene, side):
    """Small kernels directly, larger ones through spectra: where one overtakes the other."""
    scene = make_scene()
    template = cut(scene, side)
    both = side <= MOST_DIRECT

    def way(limit):
        scores.DIRECT_PIXELS = limit
        return score_map(scene, template)

    peers = {"opencv": lambda: opencv(scene, template)}
    if both:
        peers = {"spectral": lambda: way(0), **peers}
    return Comparison(
        f"{name}, {side}x{side}, {'direct' if both else 'spectral'}, {THREADS} threads",
        lambda: way(MOST_DIRECT**2 if both else 0),
        peers,
    )


def apart(scores, expected):
    return float(np.abs(scores - expected).max())


def show_line(result):
    beside = "".join(
        f"{name} {show(each)} = {each['median_ms'] / result['ours']['median_ms']:.2f}x  "
        for name, each in result["peers"].items()
    )
    difference = "" if result["difference"] is None else f"apart {result['difference']:.1e}"
    print(f"{result['case']:<68}{show(result['ours']):>24}  {beside}{difference}", flush=True)


MEMORY = """
import resource, sys, numpy as np
from scs.matching.scores import score_maps
scene = np.random.default_rng(0).integers(0, 256, (1080, 1920), dtype=np.uint8)
templates = [scene[i % 1000 : i % 1000 + 64, i : i + 64] for i in range(int(sys.argv[1]))]
best = [float(found.scores.max()) for found in score_maps(scene, templates)]
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def memory():
    """Peak megabytes of a process that scores banks of several sizes, each in one of its own."""
    found = {}
    for count in (0, 4, 16, 1000):
        output = subprocess.run([sys.executable, "-c", MEMORY, str(count)], capture_output=True, text=True, check=True)
        found[count] = round(int(output.stdout) / 1024)
        print(f"{count} templates of 64x64 on 1920x1080: the process takes {found[count]} MB at its peak", flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photograph", type=Path)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each line, all its sides together")
    parser.add_argument("--line", type=int, help="measure this line alone and print it as JSON")
    options = parser.parse_args()
    lines = list(comparisons(options.photograph))
    if options.line is not None:
        print(json.dumps(lines[options.line]().measure(options.seconds)))
        return
    print(f"{'median (quartiles), ms':<68}{'scs.matching':>24}  peers, and how many times as long they take")
    results = []
    for number in range(len(lines)):
        # What one line leaves behind in the allocator doubles or halves the time of the next, so each has a process.
        command = [sys.executable, *sys.argv, "--line", str(number)]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        results.append(json.loads(output))
        show_line(results[-1])
    cases = [
        each | {"ours": recorded({"ours": each["ours"]})["ours"], "peers": recorded(each["peers"])} for each in results
    ]
    RESULTS.write_text(json.dumps({"cases": cases, "bank_peak_megabytes": memory()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
