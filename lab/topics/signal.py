"""Matching in a signal: one faint exact match of a kernel among bright distractors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import TwoSlopeNorm
from numpy.typing import NDArray

from lab.drawing import BLUE, GREEN, GREY, RED, panels, save
from lab.tables import Table, percent
from lab.topics.catalogue import Figures, Step
from scs.matching.scores import score_map

Signal = NDArray[np.float64]

LENGTH = 600  # samples
PLACE = 240  # where the match begins in the signal that is drawn
NOISE = 0.01  # its standard deviation, where the kernel's largest value is 1
TAPS = (6, 8, 12, 16, 24, 48)  # of kernels that are looked for in noise alone
RECORD = 20_000  # samples of it
DISTORTED = 0.5  # norm of what is added to the match, in the match's own
FACTORS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # what the match is of the kernel
P, Q = 2.0, 0.1  # of the picture
EXPONENTS = (0.5, 1.0, 2.0, 4.0, 8.0)
FLOORS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
METHODS = {
    "convolution": ("ccorr", P, 0.0),
    "cosine, q = 0": ("scs", P, 0.0),
    f"SCS, q = {Q}": ("scs", P, Q),
    "Pearson's r": ("ccoeff_normed", P, 0.0),
}


def kernel(taps: int = 48) -> Signal:
    """Make the kernel, a chirp ``(taps,)``: an oscillation that gets faster, in a Hann window, with zero mean."""
    time = np.linspace(0, 1, taps)
    chirp = np.hanning(taps) * np.sin(2 * np.pi * (1.5 * time + 2.5 * time**2))
    chirp -= chirp.mean()
    return np.asarray(chirp / np.abs(chirp).max())


def scene(factor: float, place: int, random: np.random.Generator) -> Signal:
    """Make a signal ``(600,)``: the kernel times a factor at a place, noise, and bright things that do not overlap it.

    The bright things are steps, spikes and slow waves, 2 to 8 times as high as the kernel, in either sign.
    """
    signal = random.normal(0, NOISE, LENGTH)
    match = kernel()
    signal[place : place + match.size] += factor * match
    free = [start for start in range(0, LENGTH - 60, 60) if start + 60 <= place or start >= place + match.size]
    for start in random.choice(free, min(5, len(free)), replace=False):
        width = int(random.integers(10, 50))
        height = random.uniform(2, 8) * random.choice([-1, 1])
        shapes = np.ones(width), np.hanning(width) ** 4, np.sin(2 * np.pi * np.arange(width) / width)
        signal[start : start + width] += height * shapes[random.integers(3)]
    return signal


def quiet(taps: int, random: np.random.Generator) -> tuple[Signal, int]:
    """Make a long record ``(20,000,)`` of noise with one match that is not exact, and return where that begins.

    The match is half the kernel, and distorted: what is added to it has half its norm, so their cosine is about 0.9.
    """
    record = random.normal(0, NOISE, RECORD)
    place, half = int(random.integers(0, RECORD - taps)), kernel(taps) / 2
    distortion = random.normal(size=taps)
    record[place : place + taps] += half + distortion * (DISTORTED * np.linalg.norm(half) / np.linalg.norm(distortion))
    return record, place


def respond(signal: Signal, method: str, p: float, q: float) -> NDArray[np.float32]:
    """Score the kernel at every place of a signal by a method of ``scs.matching``."""
    return score_map(signal, kernel(), method, p=p, q=q).scores


@dataclass(frozen=True)
class Peak:
    """Where a response is largest in magnitude, and how far it stands out.

    Attributes:
        place: its sample.
        lead: magnitude at the match, in those of the best place that does not overlap it; above 1 the match is found.
    """

    place: int
    lead: float

    @classmethod
    def of(cls, response: NDArray[np.float32], match: int) -> Peak:
        """Find the peak of a response to a signal whose match begins at a sample."""
        strength = np.abs(response).astype(np.float64)
        apart = np.abs(np.arange(strength.size) - match) >= kernel().size
        return cls(int(strength.argmax()), float(strength[match] / strength[apart].max()))


def run(quick: bool, step: Step) -> Figures:
    """Look for the match by each method, whatever its size and sign, and with many p and q."""
    random = np.random.default_rng(0)
    trials, records = (20, 10) if quick else (400, 100)
    found = {name: [0] * len(FACTORS) for name in METHODS}
    for number, factor in enumerate(FACTORS):
        for trial in range(trials):
            sign = 1 if trial % 2 else -1
            place = int(random.integers(0, LENGTH - kernel().size))
            signal = scene(sign * factor, place, random)
            for name, options in METHODS.items():
                found[name][number] += Peak.of(respond(signal, *options), place).place == place
        step(number + 1, len(FACTORS) + 2)
    shown = _shown()
    leads = [[Peak.of(respond(shown, "scs", p, q), PLACE).lead for q in FLOORS] for p in EXPONENTS]
    step(len(FACTORS) + 1, len(FACTORS) + 2)
    silence = {str(taps): _in_silence(taps, records) for taps in TAPS}
    step(len(FACTORS) + 2, len(FACTORS) + 2)
    return {
        "trials": trials,
        "noise": NOISE,
        "factors": list(FACTORS),
        "found": {name: [count / trials for count in counts] for name, counts in found.items()},
        "place": PLACE,
        "peaks": {name: Peak.of(respond(shown, *options), PLACE).__dict__ for name, options in METHODS.items()},
        "exponents": list(EXPONENTS),
        "floors": list(FLOORS),
        "leads": leads,
        "records": records,
        "silence": silence,
    }


def _in_silence(taps: int, records: int) -> dict[str, Any]:
    """How often each method finds a distorted match in noise alone, and the largest cosine of that noise."""
    random = np.random.default_rng(taps)
    found, highest = dict.fromkeys(METHODS, 0), 0.0
    for _ in range(records):
        record, place = quiet(taps, random)
        for name, (method, p, q) in METHODS.items():
            response = np.abs(score_map(record, kernel(taps), method, p=p, q=q).scores)
            found[name] += int(response.argmax()) == place
            if name == "cosine, q = 0":
                apart = np.abs(np.arange(response.size) - place) >= taps
                highest += float(response[apart].max()) ** (1 / p) / records
    return {"found": {name: count / records for name, count in found.items()}, "highest": highest}


def tables(figures: Figures) -> dict[str, Table]:
    """Make the tables: how often each method is right by the match's size, and how far it stands out by p and q."""
    found = [
        [f"{factor:g}", *(percent(shares[number]) for shares in figures["found"].values())]
        for number, factor in enumerate(figures["factors"])
    ]
    kept = [number for number, q in enumerate(figures["floors"]) if q in (0, 0.1, 0.5, 2, 10, 100)]
    leads = [
        [f"p = {p:g}", *(f"{leads[number]:.2f}" for number in kept)]
        for p, leads in zip(figures["exponents"], figures["leads"], strict=True)
    ]
    silence = [
        [taps, f"{each['highest']:.2f}", *(percent(share) for share in each["found"].values())]
        for taps, each in figures["silence"].items()
    ]
    return {
        "silence": Table(["taps of the kernel", "highest cosine of noise", *figures["found"]], silence),
        "found": Table(["match, times the kernel", *figures["found"]], found),
        "leads": Table(["lead of the match", *(f"q = {figures['floors'][number]:g}" for number in kept)], leads),
    }


def draw(figures: Figures, folder: Path) -> list[Path]:
    """Draw the signal with its responses and the sweep over p and q, and write the signal and its kernel as files."""
    shown = _shown()
    files = [folder / "scene.csv", folder / "kernel.csv"]
    for path, numbers in zip(files, (shown, kernel()), strict=True):
        np.savetxt(path, numbers, fmt="%.6f")
    return [
        _draw_responses(shown, figures, folder / "responses.png"),
        _draw_sweep(figures, folder / "sweep.png"),
        *files,
    ]


def _shown() -> Signal:
    return scene(0.2, PLACE, np.random.default_rng(3))


def _draw_responses(shown: Signal, figures: Figures, path: Path) -> Path:
    figure, axes = panels(3, 1, 5.2)
    axes[0].plot(shown, color="black", lw=0.9)
    axes[0].plot(np.arange(kernel().size) + PLACE, shown[PLACE : PLACE + kernel().size], color=GREEN, lw=1.6)
    axes[0].set_title("signal; in green the kernel at a fifth of its size", fontsize=10)
    for each, name, colour in zip(axes[1:], ("convolution", f"SCS, q = {Q}"), (BLUE, RED), strict=True):
        response = np.abs(respond(shown, *METHODS[name]))
        place = figures["peaks"][name]["place"]
        each.plot(response, color=colour, lw=1)
        each.plot(place, response[place], "o", color=GREEN if place == PLACE else "black", ms=7)
        each.set_title(f"{name.replace('SCS', f'SCS, p = {P:g}')}: magnitude, and its peak", fontsize=10)
    for each in axes:
        each.axvline(PLACE, color=GREEN, lw=0.8, ls=":")
        each.set_xlim(0, LENGTH)
    axes[-1].set_xlabel("sample at which the kernel begins")
    return save(figure, path)


def _draw_sweep(figures: Figures, path: Path) -> Path:
    figure, axes = panels(1, 2, 3.6)
    plane = np.log2(np.array(figures["leads"]))
    drawn = axes[0].imshow(plane, cmap="RdBu", norm=TwoSlopeNorm(0, -8, 8), aspect="auto", origin="lower")
    axes[0].set_xticks(range(len(figures["floors"])), [f"{q:g}" for q in figures["floors"]], fontsize=8)
    axes[0].set_yticks(range(len(figures["exponents"])), [f"{p:g}" for p in figures["exponents"]])
    axes[0].set(xlabel="q", ylabel="p")
    axes[0].set_title("lead of the match: blue is found, red is outshouted", fontsize=10)
    bar = figure.colorbar(drawn, ax=axes[0], ticks=[-8, -4, 0, 4, 8])
    bar.ax.set_yticklabels(["1/256", "1/16", "1", "16", "256"])
    for q, colour in ((0.0, GREY), (Q, RED), (100.0, BLUE)):
        response = np.abs(respond(_shown(), "scs", P, q))
        axes[1].plot(response / response.max(), color=colour, lw=1, label=f"q = {q:g}")
    axes[1].axvline(PLACE, color=GREEN, lw=0.8, ls=":")
    axes[1].set_title(f"magnitude, p = {P:g}, in that of its peak", fontsize=10)
    axes[1].legend(frameon=False, fontsize=8)
    axes[1].set_xlabel("sample")
    return save(figure, path)
