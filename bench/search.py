"""How fast, how right and how large an upright search is: find against a pyramid of OpenCV, and against whole maps.

The pyramid is what an expert writes: the scene and the template at a quarter of their size, the five best places there,
and each of them at full size. It tells a place and a score, and no verdict. Both run in turns in one process.

Misses: templates cut out of photographs at random places, as they are, blurred, fainter and noisy, compressed, a little
larger, or from another photograph. Where the best score of the whole map is above .8, find has to have it.

Prints tables and writes bench/results/search.json. Needs scikit-image.

    python bench/search.py [--templates 1000] [--seconds 3]
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
from match import grey, mosaic
from skimage import data
from timing import interleaved, summary

from scs.matching import finding
from scs.matching.finding import find
from scs.matching.scores import score_map

RESULTS = Path(__file__).parent / "results" / "search.json"
SIZES = {
    "1920x1080": (1080, 1920),
    "3840x2160": (2160, 3840),
    "12 megapixels": (3000, 4000),
    "50 megapixels": (5774, 8660),
}
SIDES = (64, 128, 256, 800)
BANK = 100
ROUGHLY = 4
FOLLOWED = 5
LOST = 1e-3  # by so much less than the map's best score
SURE = 0.8
PHOTOGRAPHS = ("camera", "astronaut", "coffee", "chelsea", "rocket", "brick", "coins", "page", "grass", "moon")


def photographs():
    """Photographs of scikit-image at twice their size, as soft as large ones are, each 1024 pixels wide."""
    pictures = [grey(getattr(data, name)()) for name in PHOTOGRAPHS] + [grey(data.gravel()), grey(data.retina())]
    return [
        cv2.resize(each, (1024, 1024 * each.shape[0] // each.shape[1]), interpolation=cv2.INTER_CUBIC)
        for each in pictures
    ]


def pyramid(scene, templates):
    """The best place and score of each template: quarter size, then the best few at full size."""
    small = shrunk(scene)
    return [_best(scene, small, template) for template in templates]


def shrunk(picture):
    """Halved twice: four times as fast as one step of OpenCV's to a quarter."""
    half = cv2.resize(picture, (picture.shape[1] // 2, picture.shape[0] // 2), interpolation=cv2.INTER_AREA)
    return cv2.resize(half, (half.shape[1] // 2, half.shape[0] // 2), interpolation=cv2.INTER_AREA)


def _best(scene, small, template):
    scores = cv2.matchTemplate(small, shrunk(template), cv2.TM_CCOEFF_NORMED)
    height, width = template.shape
    found = []
    for _ in range(FOLLOWED):
        _, score, _, (x, y) = cv2.minMaxLoc(scores)
        if found and score < 0.5:
            break
        left, top = max(0, ROUGHLY * x - ROUGHLY), max(0, ROUGHLY * y - ROUGHLY)
        part = scene[top : top + height + 2 * ROUGHLY, left : left + width + 2 * ROUGHLY]
        _, exact, _, (right, down) = cv2.minMaxLoc(cv2.matchTemplate(part, template, cv2.TM_CCOEFF_NORMED))
        found.append((exact, left + right, top + down))
        if exact > 0.95:
            break
        reach = max(1, height // 8), max(1, width // 8)
        scores[max(0, y - reach[0]) : y + reach[0] + 1, max(0, x - reach[1]) : x + reach[1] + 1] = -1
    return max(found)


def large_scene(height, width):
    """A mosaic of photographs at their own size; beyond 4K at twice their size, as soft as such pictures are."""
    if height * width < 10_000_000:
        return mosaic(height, width)
    half = mosaic(-(-height // 2), -(-width // 2))
    return cv2.resize(half, (width, height), interpolation=cv2.INTER_CUBIC)


def speed(size, side, count, seconds):
    scene = large_scene(*SIZES[size])
    rng = np.random.default_rng(side)
    corners = [
        (int(rng.integers(scene.shape[0] - side)), int(rng.integers(scene.shape[1] - side))) for _ in range(count)
    ]
    templates = [noisy(scene[row : row + side, column : column + side], 3, rng) for row, column in corners]
    sides = {"find": lambda: find(scene, templates), "pyramid": lambda: pyramid(scene, templates)}
    if count == 1:
        sides["opencv"] = lambda: cv2.matchTemplate(scene, templates[0], cv2.TM_CCOEFF_NORMED)
    times = {name: summary(each) for name, each in interleaved(sides, seconds, least=1).items()}
    ours = times["find"]["median_ms"]
    return {
        "scene": size,
        "side": side,
        "templates": count,
        **{name: {key: each[key] for key in ("median_ms", "quartiles_ms")} for name, each in times.items()},
        "pyramid_by_ours": round(times["pyramid"]["median_ms"] / ours, 2),
        "opencv_by_ours": round(times["opencv"]["median_ms"] / ours, 2) if count == 1 else None,
        "by_whole_maps": whole_maps(scene, templates),
    }


def whole_maps(scene, templates):
    """How many of the templates were left to whole maps."""
    counted, real = [], finding._find_by_maps

    def counting(scene, templates, masks, search):
        counted.extend(templates)
        return real(scene, templates, masks, search)

    finding._find_by_maps = counting
    try:
        find(scene, templates)
    finally:
        finding._find_by_maps = real
    return len(counted)


def noisy(template, deviation, rng):
    return np.clip(template + rng.normal(0, deviation, template.shape), 0, 255).astype(np.uint8)


def rendition(template, kind, rng):
    if kind == "blurred":
        return cv2.GaussianBlur(template, (0, 0), rng.uniform(0.3, 1.2))
    if kind == "noisy":
        return noisy(rng.uniform(0.6, 1.0) * template + 20, rng.uniform(2, 10), rng)
    if kind == "compressed":
        coded = cv2.imencode(".jpg", template, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 90))])[1]
        return cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE)
    if kind == "larger":
        factor = rng.uniform(0.96, 1.04)
        return cv2.resize(template, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
    return template.copy()


KINDS = ("exact", "blurred", "noisy", "compressed", "larger", "elsewhere")


def misses(count, seed=1):
    """Best scores above .8 of whole maps that find has not, and how many were left to whole maps."""
    pictures = photographs()
    rng = np.random.default_rng(seed)
    report = {kind: {"templates": 0, "above": 0, "lost": 0, "whole_maps": 0, "largest_loss": 0.0} for kind in KINDS}
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        scene = pictures[int(rng.integers(len(pictures)))]
        source = pictures[int(rng.integers(len(pictures)))] if kind == "elsewhere" else scene
        height, width = (int(round(24 * (200 / 24) ** rng.uniform())) for _ in range(2))
        row, column = int(rng.integers(source.shape[0] - height)), int(rng.integers(source.shape[1] - width))
        template = rendition(source[row : row + height, column : column + width], kind, rng)
        best = float(score_map(scene, template).scores.max())
        one = report[kind]
        one["templates"] += 1
        one["whole_maps"] += whole_maps(scene, [template])
        if best > SURE:
            score = max((match.score for match in find(scene, [template]).matches), default=-1.0)
            one["above"] += 1
            one["lost"] += score < best - LOST
            one["largest_loss"] = round(max(one["largest_loss"], best - score), 6)
    return report


MEMORY = """
import resource, sys
sys.path.insert(0, {bench!r})
from search import SIZES, large_scene, noisy
import numpy as np
from scs.matching import coarse
from scs.matching.finding import Search, find
from scs.matching.scores import score_map
small = large_scene(1080, 1920)
for search in (Search(), Search(polarity="either")):
    find(small, [small[100:164, 100:164]], search)
scene = large_scene(*SIZES["50 megapixels"])
template = noisy(scene[3000:3064, 4000:4064], 3, np.random.default_rng(0))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
how = sys.argv[1]
if how == "map":
    score_map(scene, template)
else:
    if how == "whole maps":
        coarse.halvings_for = lambda *_: 0
    find(scene, [template])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def memory():
    """Megabytes at the peak, beyond what the process had with the scene of 50 megapixels in it."""
    script = MEMORY.format(bench=str(Path(__file__).parent))
    found = {}
    for how in ("map", "whole maps", "find"):
        output = subprocess.run([sys.executable, "-c", script, how], capture_output=True, text=True, check=True).stdout
        found[how] = round(int(output) / 1024)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--templates", type=int, default=1000, help="whose best score is looked for")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each line of the speeds")
    options = parser.parse_args()
    report = {
        "python": platform.python_version(),
        "opencv": cv2.__version__,
        "numpy": np.__version__,
        "cores": len(os.sched_getaffinity(0)),
        "load_before": round(os.getloadavg()[0], 1),
        "megabytes_at_50_megapixels": memory(),
    }
    print(report, flush=True)
    report["misses"] = misses(options.templates)
    print(json.dumps(report["misses"], indent=1), flush=True)
    report["speed"] = []
    for size in SIZES:
        for side, count in [*((side, 1) for side in SIDES), *([(64, BANK)] if size == "1920x1080" else [])]:
            report["speed"].append(speed(size, side, count, options.seconds))
            print(report["speed"][-1], flush=True)
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
