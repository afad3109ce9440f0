"""Stacks of small kernels that equal one large kernel: learned, measured and merged."""

from __future__ import annotations

from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.polynomial import chebyshev, polynomial

from lab.drawing import BLUE, GREEN, GREY, RED, as_frame, early_steps, panels, save, save_animation
from lab.learned_stacks import LearnedStack, Optimiser, apply_stack, learn_stack
from lab.stacks import Array, compose_kernels
from lab.tables import Table
from lab.topics.catalogue import Figures, Step
from models.cards.catalogue import Entry, bundled_repository, entries
from models.onnx.compose import composed

SERIES = (-1, 0, -2, 0, 1, 0, 1, 2, 3)  # of Chebyshev polynomials, T0 first
TARGETS = {
    "powers": chebyshev.cheb2poly(SERIES).astype(np.float64),  # the same polynomial by powers of x, one tap each
    "numbers": np.array(SERIES, dtype=np.float64),  # the nine numbers as they are
}
LAYERS, TAPS, SIGNALS, LENGTH = 7, 3, 3000, 32
STARTS = {"near identity": (0.1, 1.0), "at random": (0.6, 0.0)}  # spread of the taps, and what the middle one has more
ADAM_STEPS = 3000
CLOSE = 1e-2  # largest difference of a tap at which the target is learned
PROBES = 32, (32, 32)  # images, and their size, that a merged model is compared on


def learned(target: Array, kind: str, seed: int, optimiser: Optimiser = "damped", most: int = 600) -> LearnedStack:
    """Train seven circular layers of three taps on 3,000 random signals to do what a kernel does."""
    random = np.random.default_rng(seed)
    signals = random.normal(size=(SIGNALS, LENGTH))
    spread, middle = STARTS[kind]
    start = spread * random.normal(size=(LAYERS, TAPS)) + middle * np.eye(TAPS)[TAPS // 2]
    return learn_stack(start, signals, apply_stack([target], signals), most, optimiser)


def miss(stack: LearnedStack, target: Array) -> float:
    """Measure the largest difference between a tap of the learned product and the target's, padded with zeros."""
    return float(np.abs(stack.kernel - np.pad(target, (stack.kernel.size - target.size) // 2)).max())


def run(quick: bool, step: Step) -> Figures:
    """Learn two kernels from many starts; predict the bundled models' receptive fields; merge their linear layers."""
    seeds = 2 if quick else 10
    bundled = [entry for entry in entries(bundled_repository()) if entry.card().format == "onnx"]
    total, done = 2 * len(TARGETS) * len(STARTS) * seeds + 2 * len(bundled), 0
    adam_steps = 300 if quick else ADAM_STEPS
    taught: dict[str, dict[str, Any]] = {}
    for name, target in TARGETS.items():
        taught[name] = {"target": target.tolist(), "starts": {}}
        every: list[LearnedStack] = []
        for kind in STARTS:
            stacks, by_adam = [], []
            for seed in range(seeds):
                stacks.append(learned(target, kind, seed))
                step(done := done + 1, total)
                by_adam.append(learned(target, kind, seed, "adam", adam_steps))
                step(done := done + 1, total)
            taught[name]["starts"][kind] = {
                "misses": [miss(stack, target) for stack in stacks],
                "losses": [[float(f"{loss:.3g}") for loss in stack.losses[::4]] for stack in stacks],
                "steps": [len(stack.losses) - 1 for stack in stacks],
                "adam": {
                    "misses": [miss(stack, target) for stack in by_adam],
                    "losses": [float(f"{loss:.3g}") for loss in _best(by_adam, target).losses[::20]],
                    "kernels": _best(by_adam, target).kernels.tolist(),
                },
            }
            every += stacks
        taught[name]["kernels"] = _best(every, target).kernels.tolist()
    fields, merged = {}, {}
    for entry in bundled:
        fields[entry.name] = {
            layer.name: {"predicted": predicted, "card": layer.receptive_field.size}
            for layer, predicted in zip(entry.card().layers, _grown(entry), strict=True)
        }
        step(done := done + 1, total)
        merged[entry.name] = _merged(entry, 5 if quick else 40)
        step(done := done + 1, total)
    return {
        "seeds": seeds,
        "signals": SIGNALS,
        "close": CLOSE,
        "adam_steps": adam_steps,
        "taught": taught,
        "fields": fields,
        "merged": merged,
    }


def tables(figures: Figures) -> dict[str, Table]:
    """Make the tables: how often the kernels are learned, receptive fields beside the cards', what merging saves."""
    learned = [
        [
            f"{words}, {kind}",
            f"{sum(each <= figures['close'] for each in found['misses'])} of {len(found['misses'])}",
            f"{min(found['misses']):.0e}",
            f"{max(found['misses']):.0e}",
            f"{np.median(found['steps']):.0f}",
            f"{sum(each <= figures['close'] for each in found['adam']['misses'])} of {len(found['adam']['misses'])}",
            f"{min(found['adam']['misses']):.0e}",
        ]
        for name, words in (("powers", "polynomial by powers"), ("numbers", "the nine numbers"))
        for kind, found in figures["taught"][name]["starts"].items()
    ]
    heads = ["target, start", "within 1e-2", "best", "worst", "steps, median"]
    fields = [
        [f"`{name}`", *(", ".join(str(layer[side]) for layer in layers.values()) for side in ("predicted", "card"))]
        for name, layers in figures["fields"].items()
    ]
    merged = [
        [
            f"`{name}`",
            " to ".join(map(str, each["nodes"])),
            " to ".join(f"{size:,}" for size in each["bytes"]),
            f"{each['difference']:.0e}",
            f"{each['time']:.3f}",
        ]
        for name, each in figures["merged"].items()
    ]
    return {
        "learned": Table([*heads, "by Adam: within 1e-2", "by Adam: best"], learned),
        "fields": Table(["layers, first to last", "size by the product", "on the card"], fields),
        "merged": Table(["", "nodes", "bytes", "largest difference of a logit", "time by the plain file's"], merged),
    }


def draw(figures: Figures, folder: Path) -> list[Path]:
    """Draw what was learned, with its roots, and how the error falls from each start."""
    return [
        *(_draw_learned(figures["taught"][name], folder / f"{name}.png") for name in TARGETS),
        _draw_losses(figures["taught"], folder / "losses.png"),
        _draw_polynomial(figures["taught"]["powers"], folder / "polynomial.png"),
        _animate(figures["taught"]["powers"], folder / "learning.gif"),
    ]


def _best(stacks: list[LearnedStack], target: Array) -> LearnedStack:
    return min(stacks, key=lambda stack: miss(stack, target))


def _grown(entry: Entry) -> list[int]:
    """The receptive field of each layer of a file along an axis: taps of the product of all windows before it."""
    model = onnx.load_from_string(entry.verified_bytes())
    constants = {tensor.name for tensor in model.graph.initializer}
    makers = {name: node for node in model.graph.node for name in node.output}
    sizes = []
    for layer in entry.card().layers:
        windows, name = [], layer.tensor
        while node := makers.get(name):
            given = {attribute.name: attribute.ints for attribute in node.attribute}
            if "kernel_shape" in given:
                windows.append((np.ones(given["kernel_shape"][0]), given["strides"][0]))
            name = next(each for each in node.input if each not in constants)
        kernels, strides = zip(*reversed(windows), strict=True)
        sizes.append(len(compose_kernels(kernels, strides=strides)))
    return sizes


def _merged(entry: Entry, rounds: int) -> dict[str, Any]:
    """A model's file beside the same with linear neighbours merged."""
    plain = entry.verified_bytes()
    files = plain, composed(plain, [layer.tensor for layer in entry.card().layers])
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    sessions = [ort.InferenceSession(file, options, providers=["CPUExecutionProvider"]) for file in files]
    count, size = PROBES
    images = np.random.default_rng(0).integers(0, 256, (count, *size, entry.card().input.channels), np.uint8)
    logits = [session.run(["logits"], {"image": images})[0] for session in sessions]
    ratios = []
    for _ in range(rounds):
        before, after = (_seconds(session, images) for session in sessions)
        ratios.append(after / before)
    return {
        "nodes": [len(onnx.load_from_string(file).graph.node) for file in files],
        "bytes": [len(file) for file in files],
        "difference": float(np.abs(logits[1] - logits[0]).max()),
        "time": float(np.median(ratios)),
    }


def _seconds(session: ort.InferenceSession, images: np.ndarray) -> float:
    started = process_time()  # of the processor, since others may be at work beside
    session.run(["logits"], {"image": images})
    return process_time() - started


def _draw_learned(taught: dict[str, Any], path: Path) -> Path:
    figure, (left, middle, right) = panels(1, 3, 3.6)
    kernels, target = [np.array(kernel) for kernel in taught["kernels"]], np.array(taught["target"])
    kernels.sort(key=lambda kernel: (int(np.abs(kernel).argmax()), kernel[0]))  # layers learn in any order
    shown = [kernel / np.abs(kernel).max() for kernel in kernels]
    left.imshow(shown, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    for row, kernel in enumerate(kernels):
        for column, tap in enumerate(kernel):
            bright = abs(shown[row][column]) > 0.6
            left.text(
                column,
                row,
                f"{round(tap, 2) + 0:.2f}",
                ha="center",
                va="center",
                fontsize=9,
                color="white" if bright else "black",
            )
    left.set_xticks(range(TAPS), ["-1", "0", "1"])
    left.set_yticks(range(LAYERS), [str(layer + 1) for layer in range(LAYERS)])
    left.set_title("seven learned layers of three taps", fontsize=10)
    product = compose_kernels(kernels)
    places = np.arange(product.size) - product.size // 2
    padded = np.pad(target, (product.size - target.size) // 2)
    middle.bar(places, padded, color=GREY, alpha=0.5, width=0.9, label="target")
    middle.plot(places, product, "o", color=RED, ms=5, label="product of the layers")
    middle.set_title("one kernel", fontsize=10)
    middle.set_xlabel("tap")
    middle.set_xticks(range(-6, 7, 3))
    middle.legend(frameon=False, fontsize=8)
    turn = np.linspace(0, 2 * np.pi, 200)
    right.plot(np.cos(turn), np.sin(turn), color=GREY, lw=0.6)
    wanted = polynomial.polyroots(target)
    right.plot(wanted.real, wanted.imag, "o", mfc="none", mec=BLUE, ms=13, mew=1.6, label="of the target")
    found = np.concatenate([polynomial.polyroots(kernel) for kernel in kernels])
    near = np.abs(found) < 2
    right.plot(found[near].real, found[near].imag, ".", color=RED, ms=7, label="of the layers")
    right.set(xlim=(-2, 2), ylim=(-2, 2), aspect="equal")
    right.set_title("roots", fontsize=10)
    right.legend(frameon=False, fontsize=8, loc="upper left")
    return save(figure, path)


def _draw_losses(taught: dict[str, Any], path: Path) -> Path:
    figure, axes = panels(1, 2, 3.2)
    titles = {"powers": "the polynomial by powers", "numbers": "the nine numbers"}
    for each, name in zip(axes, titles, strict=True):
        for (kind, found), colour in zip(taught[name]["starts"].items(), (GREEN, RED), strict=True):
            for seed, losses in enumerate(found["losses"]):
                each.semilogy(4 * np.arange(len(losses)), losses, color=colour, lw=0.9, label=None if seed else kind)
        each.set_title(titles[name], fontsize=10)
        each.set_xlabel("step")
        each.legend(frameon=False, fontsize=8, title="mean squared error, from layers", title_fontsize=8)
    return save(figure, path)


def _draw_polynomial(taught: dict[str, Any], path: Path) -> Path:
    """The target as the polynomial that it is, with those that either optimiser learned, best starts."""
    figure, (left, right) = panels(1, 2, 3.4)
    x = np.linspace(-1, 1, 400)
    adam = min((found["adam"] for found in taught["starts"].values()), key=lambda each: min(each["misses"]))
    lines = (("damped least squares", taught["kernels"], RED), ("Adam", adam["kernels"], BLUE))
    left.plot(x, chebyshev.chebval(x, SERIES), color="black", lw=4, alpha=0.25, label="the Chebyshev series")
    for name, kernels, colour in lines:
        product = compose_kernels([np.array(kernel) for kernel in kernels])
        left.plot(x, _values(product, x), color=colour, lw=1, label=name)
    left.set_title("the polynomial on [-1, 1]", fontsize=10)
    left.legend(frameon=False, fontsize=8)
    damped = min(
        (each for found in taught["starts"].values() for each in found["losses"]), key=lambda losses: losses[-1]
    )
    right.loglog(4 * np.arange(len(damped)) + 1, damped, color=RED, label="damped least squares")
    right.loglog(20 * np.arange(len(adam["losses"])) + 1, adam["losses"], color=BLUE, label="Adam")
    right.set_title("mean squared error by steps, best start of each", fontsize=10)
    right.set_xlabel("step")
    right.legend(frameon=False, fontsize=8)
    return save(figure, path)


def _animate(taught: dict[str, Any], path: Path) -> Path:
    """The polynomial of the stack that learned the target best, from its start on."""
    misses = {(kind, seed): miss for kind, each in taught["starts"].items() for seed, miss in enumerate(each["misses"])}
    kind, seed = min(misses, key=misses.__getitem__)
    stack = learned(TARGETS["powers"], kind, seed)
    x, frames = np.linspace(-1, 1, 400), []
    wanted = chebyshev.chebval(x, SERIES)
    for place in early_steps(len(stack.passed)):
        figure, (axes,) = panels(1, 1, 3.4)
        axes.plot(x, wanted, color="black", lw=4, alpha=0.25, label="the Chebyshev series")
        axes.plot(x, _values(stack.passed[place], x), color=RED, lw=1, label="seven layers of three taps")
        axes.set(
            ylim=(wanted.min() - 3, wanted.max() + 3), title=f"after {place} steps, loss {stack.losses[place]:.0e}"
        )
        axes.legend(frameon=False, fontsize=8, loc="lower left")
        frames.append(as_frame(figure))
    return save_animation(frames, path)


def _values(kernel: Array, x: Array) -> Array:
    """Values of a kernel as a polynomial of the target's degree; taps beyond it belong to other powers."""
    spare = (kernel.size - len(SERIES)) // 2  # taps before the constant
    values: Array = np.asarray(polynomial.polyval(x, kernel[spare : spare + len(SERIES)]), np.float64)
    return values
