"""How fast templates are scored on a GPU: scs.matching with device="cuda" against the same functions on the CPU.

Two tables: templates on scenes, one by one and as banks, the CPU in turns with the GPU; and on the GPU alone
convolution against spectra over the template's size, which tells what torch_scores.DIRECT_PIXELS should be there. Times
are from NumPy to NumPy, transfers included, and the device is waited for.

Prints the tables and writes bench/results/match_gpu.json; without a GPU it says so, and writes nothing.
Needs torch, scikit-image.

    python bench/match_gpu.py [--seconds 4]
"""

import argparse
import json
import platform
from pathlib import Path

import cv2
import numpy as np
import torch
from skimage import data
from timing import interleaved, show, summary

from scs.matching.scores import score_maps
from scs.matching.scoring import torch_scores
from scs.matching.threads import available_threads

RESULTS = Path(__file__).parent / "results" / "match_gpu.json"
SCENES = {"640x480": (480, 640), "1920x1080": (1080, 1920), "3840x2160": (2160, 3840)}
TEMPLATE = 64
BANKS = (1, 16, 1000)
LARGEST_BANK = "640x480"  # the only scene for it, since the CPU needs seconds a turn there already
METHODS = ("ccoeff_normed", "scs", "sqdiff")
SIDES = (2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32)


def picture(height, width):
    """Photographs side by side, none of them resized."""
    tiles = np.hstack([data.camera(), data.moon(), data.brick(), data.grass()])
    return np.tile(tiles, (-(-height // tiles.shape[0]), -(-width // tiles.shape[1])))[:height, :width]


def cut_templates(scene, count, side):
    rng = np.random.default_rng(0)
    rows, columns = (rng.integers(0, length - side, count) for length in scene.shape)
    return [scene[row : row + side, column : column + side] for row, column in zip(rows, columns, strict=True)]


def best_scores(scene, templates, method, device=None):
    found = [float(np.abs(scored.scores).max()) for scored in score_maps(scene, templates, method, device=device)]
    if device is not None:
        torch.cuda.synchronize()
    return found


def difference(scene, template, method):
    """Largest difference of the scores, by their range where they are not normalised."""
    here, there = (next(score_maps(scene, [template], method, device=device)).scores for device in (None, "cuda"))
    return float(np.abs(here - there).max() / max(1, np.abs(here).max()))


def against_cpu(seconds):
    print(f"{'scene, templates, method':<42}{'CPU, ms':>28}{'GPU, ms':>28}{'ratio':>9}{'difference':>12}")
    for name, size in SCENES.items():
        scene = picture(*size)
        for count in BANKS:
            if count == max(BANKS) and name != LARGEST_BANK:
                continue
            templates = cut_templates(scene, count, TEMPLATE)
            for method in METHODS if count == 1 else METHODS[:1]:
                yield compared(name, scene, templates, method, seconds)


def compared(name, scene, templates, method, seconds):
    sides = {
        "cpu": lambda: best_scores(scene, templates, method),
        "gpu": lambda: best_scores(scene, templates, method, "cuda"),
    }
    cpu, gpu = (summary(times) for times in interleaved(sides, seconds).values())
    apart = difference(scene, templates[0], method)
    ratio = cpu["median_ms"] / gpu["median_ms"]
    title = f"{name}, {len(templates)} of {TEMPLATE}x{TEMPLATE}, {method}"
    print(f"{title:<42}{show(cpu):>28}{show(gpu):>28}{ratio:>9.2f}{apart:>12.1e}", flush=True)
    return {"case": title, "cpu": cpu, "gpu": gpu, "cpu_over_gpu": round(ratio, 3), "difference": apart}


def crossover(seconds):
    scene = picture(*SCENES["1920x1080"])
    print(f"\n{'1920x1080, ccoeff_normed, on the GPU':<42}{'convolution, ms':>28}{'spectra, ms':>28}{'ratio':>9}")
    for side in SIDES:
        templates = cut_templates(scene, 1, side)
        sides = {
            "convolution": lambda templates=templates: forced(scene, templates, pixels=max(SIDES) ** 2),
            "spectra": lambda templates=templates: forced(scene, templates, pixels=0),
        }
        direct, spectral = (summary(times) for times in interleaved(sides, seconds).values())
        ratio = spectral["median_ms"] / direct["median_ms"]
        print(f"{f'{side}x{side}':<42}{show(direct):>28}{show(spectral):>28}{ratio:>9.2f}", flush=True)
        yield {"side": side, "convolution": direct, "spectra": spectral, "spectra_over_convolution": round(ratio, 3)}


def forced(scene, templates, pixels):
    usual, torch_scores.DIRECT_PIXELS = torch_scores.DIRECT_PIXELS, pixels
    try:
        return best_scores(scene, templates, "ccoeff_normed", "cuda")
    finally:
        torch_scores.DIRECT_PIXELS = usual


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=4, help="for each line")
    seconds = parser.parse_args().seconds
    if not torch.cuda.is_available():
        print("no GPU that torch can use: nothing measured, nothing written")
        return
    report = {
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "cuda": torch.version.cuda,
            "opencv": cv2.__version__,
        },
        "gpu": torch.cuda.get_device_name(),
        "cpu_threads": available_threads(),
        "cases": list(against_cpu(seconds)),
        "crossover": list(crossover(seconds)),
    }
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
