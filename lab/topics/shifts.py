"""Shift equivariance, learned: a random matrix that is trained only to commute with shifts becomes a convolution."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Normalize, PowerNorm
from PIL import Image, ImageDraw, ImageFont

from lab.circulants import (
    Array,
    circulant,
    circulant_distance,
    in_fourier_basis,
    nearest_circulant,
    off_diagonal_energy,
    shift_error,
    towards_equivariance,
)
from lab.drawing import BLUE, GREY, RED, early_steps, panels, save, save_animation
from lab.tables import Table
from lab.topics.catalogue import Figures, Step

NEAR = 1e-3  # distance to the nearest circulant at which the descent has arrived
SHOWN = 100  # places of the matrix whose descent is drawn
SIDE, MARGIN, CAPTION = 300, 10, 30  # pixels of its panels, which are whole multiples of the matrix, and around them


def start(n: int, seed: int) -> Array:
    """Draw a matrix ``(n, n)`` of independent normal numbers."""
    return np.random.default_rng(seed).normal(size=(n, n))


def descend(matrix: Array, momentum: float | None = None) -> Iterator[Array]:
    """Yield the matrices of a descent, from a start to the first that is near enough to a circulant."""
    for each in towards_equivariance(matrix, momentum):
        yield each
        if circulant_distance(each) < NEAR:
            return


def run(quick: bool, step: Step) -> Figures:
    """Descend from several random matrices, with and without momentum, and multiply two of the results."""
    n, seeds = (32, 2) if quick else (SHOWN, 4)
    found, ends = [], []
    for seed in range(seeds):
        first = start(n, seed)
        *passed, end = descend(first)
        nearest = circulant(nearest_circulant(first))
        expected = nearest * np.linalg.norm(first) / np.linalg.norm(nearest)
        ends.append(end)
        found.append(
            {
                "seed": seed,
                "steps": len(passed),
                "shift_error": [shift_error(first), shift_error(end)],
                "distance": [circulant_distance(first), circulant_distance(end)],
                "off_diagonal": [off_diagonal_energy(first), off_diagonal_energy(end)],
                "from_projection": float(np.linalg.norm(end - expected) / np.linalg.norm(expected)),
            }
        )
        step(seed + 1, seeds + 1)
    plain = [shift_error(each) for each in descend(start(n, 0), 0.0)]
    pairs = {
        "random matrices": (start(n, 0), start(n, 1)),
        "what descent made of them": (ends[0], ends[1]),
        "their nearest circulants": tuple(circulant(nearest_circulant(end)) for end in ends[:2]),
    }
    step(seeds + 1, seeds + 1)
    return {
        "n": n,
        "near": NEAR,
        "descents": found,
        "plain_steps": len(plain) - 1,
        "products": {name: _product(*pair) for name, pair in pairs.items()},
    }


def tables(figures: Figures) -> dict[str, Table]:
    """Make the tables: each descent from start to end, and how well two matrices commute."""
    rows = [
        [
            str(each["seed"]),
            str(each["steps"]),
            *(f"{each[name][0]:.2f} to {each[name][1]:.1e}" for name in ("shift_error", "distance", "off_diagonal")),
            f"{each['from_projection']:.1e}",
        ]
        for each in figures["descents"]
    ]
    heads = ["seed", "steps", "‖WS - SW‖ / ‖W‖", "to the nearest circulant", "energy off the diagonal"]
    products = [
        [name, f"{each['commutator']:.0e}", f"{each['from_convolution']:.0e}"]
        for name, each in figures["products"].items()
    ]
    return {
        "descents": Table([*heads, "from the projected start"], rows),
        "products": Table(["A and B are", "‖AB - BA‖ / ‖AB‖", "‖AB - C(a * b)‖ / ‖AB‖"], products),
    }


def draw(figures: Figures, folder: Path) -> list[Path]:
    """Draw the descent as an animation, its speed, and the kernel at its end beside that of the projected start."""
    n = figures["n"]
    passed = list(descend(start(n, 0)))
    return [_animate(passed, folder / "descent.gif"), _draw_ends(figures, passed, folder / "ends.png")]


def _product(a: Array, b: Array) -> dict[str, float]:
    """How far two matrices are from commuting, and their product from the circulant of their kernels' convolution."""
    kernels = (nearest_circulant(each) for each in (a, b))
    convolved = np.fft.ifft(np.prod([np.fft.fft(kernel) for kernel in kernels], axis=0)).real
    size = np.linalg.norm(a @ b)
    return {
        "commutator": float(np.linalg.norm(a @ b - b @ a) / size),
        "from_convolution": float(np.linalg.norm(a @ b - circulant(convolved)) / size),
    }


def _animate(passed: list[Array], path: Path) -> Path:
    """The matrix, and the same in the Fourier basis; most frames early on, where most happens."""
    frames = []
    for place in early_steps(len(passed)):
        size = np.abs(in_fourier_basis(passed[place]))
        frame = Image.new("RGB", (2 * SIDE + 3 * MARGIN, SIDE + MARGIN + CAPTION), "white")
        sides = {
            f"W after {place} steps": colormaps["RdBu_r"].resampled(9)(Normalize(-3, 3)(passed[place])),
            "the same in the Fourier basis": colormaps["Greys"].resampled(6)(
                PowerNorm(0.5, 0, 3 * np.sqrt(len(size)))(size)
            ),
        }
        for left, (words, colours) in zip((MARGIN, SIDE + 2 * MARGIN), sides.items(), strict=True):
            panel = Image.fromarray((255 * colours[..., :3]).astype(np.uint8))
            frame.paste(panel.resize((SIDE, SIDE), Image.Resampling.NEAREST), (left, CAPTION))
            ImageDraw.Draw(frame).text((left, 6), words, "black", ImageFont.load_default(15))
        frames.append(frame)
    return save_animation(frames, path)


def _draw_ends(figures: Figures, passed: list[Array], path: Path) -> Path:
    figure, (left, right) = panels(1, 2, 3.4)
    plain = [shift_error(each) for each in descend(passed[0], 0.0)]
    for errors, colour, name in (
        (plain, GREY, "plain descent"),
        ([shift_error(each) for each in passed], BLUE, "with momentum"),
    ):
        left.loglog(np.arange(1, len(errors) + 1), errors, color=colour, label=name)
    left.set_title("‖WS - SW‖ / ‖W‖ by steps, until W is circulant", fontsize=10)
    left.set_xlabel("step")
    left.legend(frameon=False, fontsize=8)
    nearest, end = nearest_circulant(passed[0]), nearest_circulant(passed[-1])
    right.plot(nearest / np.linalg.norm(nearest), color=RED, lw=3.5, alpha=0.5, label="nearest circulant of the start")
    right.plot(end / np.linalg.norm(end), color="black", lw=0.8, label="where the descent ended")
    right.set_title("kernels, each by its norm", fontsize=10)
    right.set_xlabel("tap")
    right.set_ylim(top=1.6 * right.get_ylim()[1])
    right.legend(frameon=False, fontsize=8)
    return save(figure, path)
