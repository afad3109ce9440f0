"""How near the estimated work of a match is to the truth: service/tasks/match/cost.py beside the time of find.

The truth is divided by that of a template of 64x64 looked for by ccoeff_normed in a grey scene of 1024x1024, which has
a unit of work a number. A ratio of 1 is as it should be; above it, more is estimated than is done. The truth is
processor time, of all threads, medians of interleaved turns. Upright templates are not searched for from coarse to
fine, and turned ones by the finer scan as well: what is in doubt costs that, and so does a template that is absent.

Prints a table and writes bench/results/match-work.json.

    python bench/match_work.py
    python bench/match_work.py --turns 3 --only posed
"""

import argparse
import json
import math
import statistics
import time
from pathlib import Path

import cv2
import numpy as np
from skimage import data

from scs.matching.coarse import search
from scs.matching.deformable.parts import PartsTemplate
from scs.matching.finding import Search, find
from scs.matching.posing import search as posing
from service.api.match import MatchOptions
from service.settings import WORK
from service.tasks.match.cost import estimated_work
from service.tasks.match.shapes import MatchShapes

RESULTS = Path(__file__).parent / "results" / "match-work.json"
UNIT = "unit: 1024x1024, 64x64"
TURNS = 5
LEAST_S = 0.02  # of a measurement: what is quicker is done several times


def photograph(height, width, channels=1, dtype=np.uint8):
    """A photograph, tiled and cut to the size, its channels shifted against each other."""
    cat = data.chelsea()
    repeats = (-(-height // cat.shape[0]), -(-width // cat.shape[1]))
    tiled = np.tile(cat[..., 1], repeats)[:height, :width]
    noise = np.random.default_rng(0).integers(-3, 4, (height, width))
    grey = np.clip(tiled.astype(np.int16) + noise, 0, 255)
    shifted = [np.roll(grey, 7 * (channel % 50), (0, 1)) for channel in range(channels)]
    picture = np.stack(shifted, 2) if channels > 1 else grey
    return np.ascontiguousarray(picture).astype(dtype)


def case(scene, size, *, masked=False, count=1, reference=False, at=None, **options):
    """What is looked for, and how: a function that does it, and its estimate."""
    height, width = size
    top, left = at or ((scene.shape[0] - height) // 2, (scene.shape[1] - width) // 2 if scene.ndim > 1 else 0)
    template = scene[top : top + height, left : left + width] if scene.ndim > 1 else scene[top : top + height]
    wished = Search(**options)
    wanted = [PartsTemplate.from_box(scene, (left, top, width, height)) if reference else template] * count
    mask = np.ones(template.shape[:2], np.float32) if masked else None
    if masked:
        mask[: height // 8] = 0
    shapes = MatchShapes.of(scene, [template] * count, [mask] * count, scene if reference else None)
    asked = MatchOptions(
        method=wished.method, top=wished.top, angles=options.get("angles"), scales=options.get("scales")
    )
    return lambda: find(scene, wanted, wished, masks=[mask] * count), estimated_work(shapes, asked)


def cases():
    """The grid, by name."""
    grey, colour, small = photograph(1024, 1024), photograph(512, 512, 3), photograph(256, 256)
    wide = {"angles": "-180:180", "scales": "0.05:20"}
    found = {UNIT: case(grey, (64, 64))}
    for method in ("ccoeff", "ccorr_normed", "ccorr", "sqdiff", "sqdiff_normed", "scs", "scs_centred"):
        found[f"upright: {method}, 512x512x3, 40x40"] = case(colour, (40, 40), method=method)
    for side in (3, 6, 8, 40, 160, 400):
        found[f"upright: 512x512x3, {side}x{side}"] = case(colour, (side, side))
        found[f"upright: 512x512x3, {side}x{side}, masked"] = case(colour, (side, side), masked=True)
    for channels in (1, 3, 16, 256):
        scene = photograph(128, 128, channels)
        found[f"upright: 128x128x{channels}, 16x16"] = case(scene, (16, 16))
        found[f"upright: 128x128x{channels}, 16x16, masked"] = case(scene, (16, 16), masked=True)
        found[f"upright: 128x128x{channels}, 5x5, sqdiff"] = case(scene, (5, 5), method="sqdiff")
    for channels in (1000, 20_000):
        found[f"upright: 1x1x{channels}, 1x1"] = case(photograph(1, 1, channels), (1, 1))
        found[f"upright: 8x8x{channels}, 2x2"] = case(photograph(8, 8, channels), (2, 2))
        found[f"upright: 16x16x{channels // 10}, 8x8"] = case(photograph(16, 16, channels // 10), (8, 8))
        found[f"upright: 2x2x{channels}, 1x1, masked"] = case(photograph(2, 2, channels), (1, 1), masked=True)
    found["upright: 1024x1024, 64x64, float64"] = case(grey.astype(float), (64, 64))
    found["upright: 1024x1024, 64x64, float32"] = case(grey.astype(np.float32), (64, 64))
    found["upright: 1024x1024, 900x900"] = case(grey, (900, 900))
    found["upright: 1024x1024, 1000x4"] = case(grey, (1000, 4))
    found["upright: 2048x2048, 64x64"] = case(photograph(2048, 2048), (64, 64))
    found["upright: 64x64, 16x16, 16 templates"] = case(photograph(64, 64), (16, 16), count=16)
    found["upright: 1024x1024, 64x64, 8 templates"] = case(grey, (64, 64), count=8)
    for length, part in ((2**20, 2**10), (2**20, 2**19), (2**16, 20)):
        signal = np.cumsum(np.random.default_rng(0).normal(size=length)).astype(np.float32)
        found[f"signal: {length}, {part}"] = case(signal, (part, 1))
    for scene, name in (
        (small, "256x256"),
        (photograph(600, 800), "800x600"),
        (grey, "1024x1024"),
        (colour, "512x512x3"),
    ):
        for angles, scales in (("-180:180", None), ("-5:5", None), (None, "0.8:1.25"), ("auto", "auto")):
            found[f"posed: {name}, 48x48, {angles}, {scales}"] = case(scene, (48, 48), angles=angles, scales=scales)
    found["posed: 1024x1024, 200x200, all angles"] = case(grey, (200, 200), angles="-180:180")
    found["posed: 1024x1024, 64x64, all angles, masked"] = case(grey, (64, 64), angles="-180:180", masked=True)
    found["posed: 1024x1024, 24x96, all angles"] = case(grey, (24, 96), angles="-180:180")
    found["posed: 512x512x16, 48x48, all angles"] = case(photograph(512, 512, 16), (48, 48), angles="-180:180")
    found["posed: 256x256x64, 48x48, all angles"] = case(photograph(256, 256, 64), (48, 48), angles="-180:180")
    found["posed: 256x256, 8x8, widest"] = case(small, (8, 8), **wide)
    found["posed: 256x256, 48x48, widest"] = case(small, (48, 48), **wide)
    found["posed: 512x512, 200x200, widest"] = case(photograph(512, 512), (200, 200), **wide)
    found["posed: 256x256, 48x48, listed angles"] = case(small, (48, 48), angles="0:359:1", scales="0.5,1,2")
    found["posed: 1024x1024, 400x400, top 5"] = case(grey, (400, 400), angles="-180:180", top=5)
    found["posed: 1024x1024, 100x100, top 5"] = case(grey, (100, 100), angles="-180:180", top=5)
    found["posed: 600x800, 64x64, top 50"] = case(photograph(600, 800), (64, 64), angles="auto", top=50)
    grown = photograph(512, 512)
    grown[64:448, 64:448] = cv2.resize(grown[:32, :32], (384, 384), interpolation=cv2.INTER_CUBIC)
    found["posed: 512x512, 32x32, 12 times as large, 8:15"] = case(grown, (32, 32), at=(0, 0), scales="8:15")
    found["posed: 512x512, 32x32, 12 times as large, widest"] = case(grown, (32, 32), at=(0, 0), **wide)
    for height, width in ((5, 200), (3, 100), (8, 120)):
        found[f"posed: 256x256, {width}x{height}, all angles"] = case(small, (height, width), angles="-180:180")
    found["posed: 1024x1024, 100x3, all angles"] = case(grey, (3, 100), angles="-180:180")
    for side in (24, 100):
        found[f"parts: 512x512x3, {side}x{side}"] = case(colour, (side, side), method="parts")
        found[f"parts: 512x512x3, {side}x{side} of it"] = case(colour, (side, side), method="parts", reference=True)
    found["parts: 256x256, 80x80"] = case(small, (80, 80), method="parts")
    found["parts: 1024x1024, 20x20"] = case(grey, (20, 20), method="parts")
    found["parts: 128x128x16, 40x40"] = case(photograph(128, 128, 16), (40, 40), method="parts")
    return found


def processor_s(function):
    """Processor seconds of a call, of all threads."""
    calls = 0
    start = time.process_time()
    while calls == 0 or time.process_time() - start < LEAST_S:
        function()
        calls += 1
    return (time.process_time() - start) / calls


def measured(found, turns):
    """Median processor seconds of each case, in turns."""
    times = {name: [] for name in found}
    for function, _ in found.values():
        function()
    for _ in range(turns):
        for name, (function, _) in found.items():
            times[name].append(processor_s(function))
    return {name: statistics.median(taken) for name, taken in times.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--only", default="", help="cases whose names have this in them, and the unit")
    asked = parser.parse_args()
    search._LEAST_PIXELS, posing._CERTAIN = math.inf, math.inf
    found = {name: each for name, each in cases().items() if asked.only in name or name == UNIT}
    times = measured(found, asked.turns)
    unit = times[UNIT], 1024 * 1024
    results = {}
    print(f"{'':<52}{'ms':>10}{'units':>14}{'estimate':>14}{'ratio':>8}")
    for name, (_, estimate) in found.items():
        true = times[name] / unit[0] * unit[1]
        ratio = estimate / true
        results[name] = {"processor_ms": round(1000 * times[name], 3), "estimate": estimate, "ratio": round(ratio, 3)}
        print(f"{name:<52}{1000 * times[name]:>10.2f}{true:>14,.0f}{estimate:>14,}{ratio:>8.2f}", flush=True)
    ratios = [each["ratio"] for each in results.values()]
    spread = {"least": min(ratios), "median": statistics.median(ratios), "largest": max(ratios)}
    print(f"estimate by truth: {spread}; at most {WORK:,} units are allowed")
    if not asked.only:
        RESULTS.write_text(
            json.dumps({"unit": UNIT, "turns": asked.turns, "spread": spread, "cases": results}, indent=1)
        )


if __name__ == "__main__":
    main()
