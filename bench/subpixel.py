"""Accuracy of subpixel peaks: photographs moved by known parts of a pixel, find_peaks against a parabola.

A photograph is moved by turning its spectrum, which is exact, and a part of the unmoved one is searched for. Parts that
have an edge along one direction only are left out: along it one place is as good as another.

Prints a table and writes bench/results/subpixel.json. Needs scikit-image.

    python bench/subpixel.py [--cases 400] [--seed 0]
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
from skimage import data

from scs.matching.peaks import find_peaks

RESULTS = Path(__file__).parent / "results" / "subpixel.json"
PHOTOGRAPHS = ["camera", "astronaut", "coffee", "chelsea", "coins", "rocket", "moon", "brick", "gravel"]
SIDES = (24, 32, 48, 64)
MARGIN = 32
NOISE = (0, 4)  # standard deviation, grey levels
WEAKEST_GRADIENT = 3  # root mean square over the template in its flattest direction, grey levels a pixel
ASKED = 0.05


def photographs():
    for name in PHOTOGRAPHS:
        picture = getattr(data, name)()
        yield (picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)).astype(np.float64)


def moved(picture, down, right):
    rows, columns = (np.fft.fftfreq(length) for length in picture.shape)
    turn = np.exp(-2j * np.pi * (rows[:, None] * down + columns * right))
    return np.fft.ifft2(np.fft.fft2(picture) * turn).real


def has_corners(template):
    gradients = np.stack(np.gradient(cv2.GaussianBlur(template, (0, 0), 1))).reshape(2, -1)
    return np.linalg.eigvalsh(gradients @ gradients.T / template.size)[0] > WEAKEST_GRADIENT**2


def maps(scene, template):
    """Scores of each method, higher being better, with the exponent that sharpened them."""
    scene, template = scene.astype(np.float32), template.astype(np.float32)
    zncc = cv2.matchTemplate(scene, template, cv2.TM_CCOEFF_NORMED)
    return {
        "ccoeff_normed": (zncc, 1),
        "scs_centred": (np.copysign(zncc**2, zncc), 2),
        "scs": (cv2.matchTemplate(scene, template, cv2.TM_CCORR_NORMED) ** 2, 2),
        "sqdiff": (-cv2.matchTemplate(scene, template, cv2.TM_SQDIFF), 1),
        "sqdiff_normed": (-cv2.matchTemplate(scene, template, cv2.TM_SQDIFF_NORMED), 1),
    }


def parabola(scores):
    """The peer: a parabola through the best score and its neighbours, along each axis."""
    row, column = np.unravel_index(scores.argmax(), scores.shape)
    near = scores[row - 1 : row + 2, column - 1 : column + 2].astype(np.float64)
    steps = ((low - high) / (2 * (low - 2 * near[1, 1] + high)) for low, high in (near[::2, 1], near[1, ::2]))
    return tuple(place + step for place, step in zip((row, column), steps, strict=True))


def errors(cases, noise, rng):
    pictures = list(photographs())
    found = {}
    drawn = 0
    while drawn < cases:
        picture = pictures[rng.integers(len(pictures))]
        side = int(rng.choice(SIDES))
        row, column = (int(rng.integers(MARGIN, length - side - MARGIN)) for length in picture.shape)
        template = picture[row : row + side, column : column + side]
        if not has_corners(template):
            continue
        drawn += 1
        shift = rng.uniform(-0.5, 0.5, 2)
        scene = moved(picture, *shift)[row - MARGIN : row + side + MARGIN, column - MARGIN : column + side + MARGIN]
        scene = scene + noise * rng.standard_normal(scene.shape)
        for method, (scores, p) in maps(scene, template).items():
            (peak,) = find_peaks(scores, (side, side), 1, threshold=-np.inf, p=p)
            for way, place in (("find_peaks", (peak.row, peak.column)), ("parabola", parabola(scores))):
                off = float(np.abs(np.array(place) - MARGIN - shift).max())
                found.setdefault(method, {}).setdefault(way, []).append(off)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    rows = []
    print(f"{'noise':>5}  {'method':<16}{'way':<12}{'median':>8}{'within ' + str(ASKED):>14}   (pixels)")
    for noise in NOISE:
        for method, ways in errors(options.cases, noise, np.random.default_rng(options.seed)).items():
            for way, off in ways.items():
                row = {
                    "noise": noise,
                    "method": method,
                    "way": way,
                    "median": round(float(np.median(off)), 4),
                    "share_within": round(float(np.mean(np.array(off) <= ASKED)), 4),
                }
                rows.append(row)
                print(f"{noise:>5}  {method:<16}{way:<12}{row['median']:>8.3f}{row['share_within']:>14.3f}")
    RESULTS.write_text(json.dumps({"errors": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
