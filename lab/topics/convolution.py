"""Convolution: what named kernels do, what the ways to compute it cost, and how it differs from similarities."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
from numpy.typing import NDArray
from scipy import fft
from threadpoolctl import threadpool_limits

from lab.convolution import BORDERS, CALLS, METHODS, MODES, block_length, correlate, correlation_matrix
from lab.drawing import BLUE, GREEN, ORANGE, PURPLE, RED, panels, save, show
from lab.named_kernels import correlate_separable, gaussian, laplacian, prewitt, sobel
from lab.tables import Table
from lab.topics.catalogue import Figures, Step
from scs.matching.scores import score_map

Picture = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """A case that costs are measured on: the size of the input, and sides of the kernels."""

    size: tuple[int, ...]
    sides: tuple[int, ...]


CASES = {
    "picture": Case((128, 128), (3, 5, 9, 15, 23, 31, 47)),
    "signal": Case((2**17,), (3, 9, 33, 129, 513, 2049)),
}
LARGEST_MATRIX = 4e6  # entries
FORMULAS = {
    "definition": "places · taps",
    "matrix": "its entries that are not 0",
    "separable": "places · 2 · side",
    "fft": "3 transforms of n log₂ n",
    "overlap-save": "1 + 2 transforms a block, and calls",
}
COLOURS = dict(zip(FORMULAS, (BLUE, PURPLE, GREEN, RED, ORANGE), strict=True))
SIMILARITIES = {
    "dot product": ("ccorr", 1.0),
    "cosine": ("ccorr_normed", 1.0),
    "Pearson's r": ("ccoeff_normed", 1.0),
    "SCS, p = 4": ("scs", 4.0),
    "SCS, centred, p = 4": ("scs_centred", 4.0),
}
BOX = 160, 330, 56, 56  # row, column, height, width of the template


def run(quick: bool, step: Step) -> Figures:
    """Compare the ways to compute a convolution, measure what they cost, and compare the similarities."""
    cases = {name: case.sides[:4] if quick else case.sides for name, case in CASES.items()}
    steps = sum(map(len, cases.values())) + 1
    costs: dict[str, Any] = {}
    done = 0
    for name, sides in cases.items():
        costs[name] = {way: {"sides": [], "seconds": [], "operations": []} for way in FORMULAS}
        for side in sides:
            for way, call in _ways(CASES[name].size, side).items():
                measured = costs[name][way]
                measured["sides"].append(side)
                measured["seconds"].append(_seconds(call, repeats=3 if quick else 7))
                measured["operations"].append(_operations(way, CASES[name].size, side))
            done += 1
            step(done, steps)
    found = {"costs": costs, "apart": _apart(), "likeness": _likeness()}
    step(steps, steps)
    return found


def tables(figures: Figures) -> dict[str, Table]:
    """Make the tables: milliseconds by kernel, how well a formula predicts them, similarities of changed patches."""
    shown = {}
    for case, ways in figures["costs"].items():
        taken = {way: dict(zip(each["sides"], each["seconds"], strict=True)) for way, each in ways.items()}
        rows = [
            [f"{side}x{side}" if case == "picture" else f"{side}"]
            + [f"{1e3 * each[side]:.2f}" if side in each else "" for each in taken.values() if each]
            for side in taken["definition"]
        ]
        shown[case] = Table(["kernel", *(f"{way}, ms" for way, each in taken.items() if each)], rows)
    fits = []
    for way, formula in FORMULAS.items():
        pairs = [_fit(ways[way]) for ways in figures["costs"].values()]
        fits.append([way, formula, *("" if not pair else f"{1e9 * pair[0]:.2f}, {pair[1]:.1f}x" for pair in pairs)])
    likeness = [[name, *(f"{value:.2f}" for value in values)] for name, values in figures["likeness"].items()]
    return {
        **shown,
        "fits": Table(["way", "operations by formula", *(f"{case}: ns each, most apart" for case in CASES)], fits),
        "likeness": Table(["patch", *SIMILARITIES], likeness),
    }


def draw(figures: Figures, folder: Path) -> list[Path]:
    """Draw edges and blur, the costs, and the similarities."""
    return [
        _draw_kernels(folder / "kernels.jpg"),
        _draw_costs(figures, folder / "costs.png"),
        _draw_similarities(folder / "similarities.jpg"),
    ]


def _ways(size: tuple[int, ...], side: int) -> dict[str, Callable[[], Any]]:
    """Correlate with a kernel; the matrix is made beforehand, as it would be of a layer."""
    random = np.random.default_rng(side)
    x, column = random.normal(size=size), random.normal(size=side)
    kernel = np.outer(column, column) if len(size) == 2 else column
    ways: dict[str, Callable[[], Any]] = {
        "definition": lambda: correlate(x, kernel),
        "fft": lambda: correlate(x, kernel, method="fft"),
        "overlap-save": lambda: correlate(x, kernel, method="overlap-save"),
    }
    if len(size) == 2:
        ways["separable"] = lambda: correlate_separable(x, column, column)
    if x.size * kernel.size <= LARGEST_MATRIX:
        matrix, flat = correlation_matrix(kernel, size), x.ravel()
        ways["matrix"] = lambda: matrix @ flat
    return ways


def _seconds(call: Callable[[], Any], repeats: int) -> float:
    """Least processor time of a call on one thread, which other work on the machine does not count in."""
    taken = []
    with threadpool_limits(1):
        for _ in range(repeats):
            started = time.process_time()
            call()
            taken.append(time.process_time() - started)
    return min(taken)


def _operations(way: str, size: tuple[int, ...], side: int) -> float:
    """What a way's formula says of a kernel so wide."""
    places = math.prod(size)
    if way == "definition":
        return float(places * side ** len(size))
    if way == "matrix":
        return float(math.prod(sum(length - abs(tap - side // 2) for tap in range(side)) for length in size))
    if way == "separable":
        return float(places * 2 * side)
    if way == "fft":
        return 3 * _transform(math.prod(fft.next_fast_len(length + side - 1, real=True) for length in size))
    lengths = [block_length(side, length, len(size)) for length in size]
    blocks = math.prod(math.ceil(all_ / (block - side + 1)) for all_, block in zip(size, lengths, strict=True))
    return (1 + 2 * blocks) * _transform(math.prod(lengths)) + 2 * CALLS * blocks


def _transform(samples: int) -> float:
    return samples * math.log2(samples)


def _fit(measured: dict[str, list[float]]) -> tuple[float, float] | None:
    """Seconds an operation, the geometric mean over the kernels; and how far from it, as a factor, one of them is."""
    if not measured["seconds"]:
        return None
    rates = np.log(np.divide(measured["seconds"], measured["operations"]))
    return float(np.exp(rates.mean())), float(np.exp(np.abs(rates - rates.mean()).max()))


def _apart() -> float:
    """Largest difference between the ways, over modes, borders, one and two dimensions, with channels and without."""
    random = np.random.default_rng(0)
    shapes = [((50,), (7,)), ((3, 50), (4, 3, 8)), ((20, 30), (5, 4)), ((3, 20, 30), (4, 3, 3, 3))]
    largest = 0.0
    for (signal, kernels), mode, border in product(shapes, MODES, BORDERS):
        x, w = random.normal(size=signal), random.normal(size=kernels)
        first, *others = (correlate(x, w, mode, border, method) for method in METHODS)
        largest = max(largest, *(float(np.abs(other - first).max()) for other in others))
    return largest


def _template() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A photograph, and a part of it."""
    scene = skimage.data.camera()
    row, column, height, width = BOX
    return scene, scene[row : row + height, column : column + width]


def _likeness() -> dict[str, list[float]]:
    """What each similarity says of a patch that was changed; the dot product in that of the patch with itself."""
    scene, template = _template()
    kernel = template.astype(np.float64)
    patches = {
        "itself": kernel,
        "at half the light": kernel / 2,
        "at half the contrast": kernel.mean() + (kernel - kernel.mean()) / 2,
        "50 brighter": kernel + 50,
        "its negative": 255 - kernel,
        "a plain bright sky": scene[20:76, 20:76].astype(np.float64),
        "grass": scene[440:496, 40:96].astype(np.float64),
    }
    own = float((kernel**2).sum())
    return {
        name: [
            float(score_map(patch, kernel, method, p=p).scores[0, 0]) / (own if method == "ccorr" else 1)
            for method, p in SIMILARITIES.values()
        ]
        for name, patch in patches.items()
    }


def _draw_kernels(path: Path) -> Path:
    picture = skimage.data.camera().astype(np.float64)
    across, down, prewitt_across = (
        correlate(picture, kernel, border="reflecting") for kernel in (sobel(1), sobel(0), prewitt(1))
    )
    blur = gaussian(4.0)
    figure, axes = panels(1, 6, 2.0)
    seen = {
        "photograph": picture,
        "Prewitt across": prewitt_across,
        "Sobel across": across,
        "edges: Sobel's length": np.hypot(across, down),
        "Laplacian": correlate(picture, laplacian(), border="reflecting"),
        "Gaussian, sigma 4": correlate_separable(picture, blur, blur, border="reflecting"),
    }
    for each, (title, pixels) in zip(axes, seen.items(), strict=True):
        signed = {"vmin": -np.abs(pixels).max() / 2, "vmax": np.abs(pixels).max() / 2} if pixels.min() < -1 else {}
        show(each, pixels, title, **signed)
    return save(figure, path)


def _draw_costs(figures: Figures, path: Path) -> Path:
    figure, axes = panels(1, 2, 3.9)
    for each, (case, ways) in zip(axes, figures["costs"].items(), strict=True):
        for way, colour in COLOURS.items():
            measured = ways[way]
            if fit := _fit(measured):
                line = 1e3 * fit[0] * np.array(measured["operations"])
                each.plot(measured["sides"], line, color=colour, lw=1.2, label=way)
                each.plot(measured["sides"], 1e3 * np.array(measured["seconds"]), "o", color=colour, ms=5)
        sides = ways["definition"]["sides"]
        each.set(xscale="log", yscale="log", xlabel="side of the kernel")
        each.set_xticks(sides, [str(side) for side in sides])
        each.minorticks_off()
        each.set_title(f"a {case} of {'x'.join(f'{length:,}' for length in CASES[case].size)}", fontsize=10)
    axes[0].set_ylabel("milliseconds of one core")
    axes[0].legend(frameon=False, fontsize=9)
    return save(figure, path)


def _draw_similarities(path: Path) -> Path:
    scene, template = _template()
    row, column, height, width = BOX
    figure, axes = panels(1, 5, 2.35)
    show(axes[0], scene, "scene, and template in it")
    axes[0].plot(*(column + np.array([0, width, width, 0, 0]), row + np.array([0, 0, height, height, 0])), color=GREEN)
    shown = [name for name in SIMILARITIES if not name.startswith("SCS, p")]
    for each, name in zip(axes[1:], shown, strict=True):
        method, p = SIMILARITIES[name]
        scores = score_map(scene, template, method, p=p).scores
        found = divmod(int(scores.argmax()), scores.shape[1])
        at_middles = np.full(scene.shape, np.nan)
        at_middles[height // 2 :, width // 2 :][: scores.shape[0], : scores.shape[1]] = scores
        show(each, at_middles, name, cmap="inferno")
        colour = GREEN if found == (row, column) else "black"
        each.plot(found[1] + width / 2, found[0] + height / 2, "o", ms=9, mfc="none", mew=2.5, color=colour)
    return save(figure, path)
