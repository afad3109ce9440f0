"""Feature visualization: what raises a channel of a network most, with and without regularization towards shapes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import NDArray

from lab.drawing import panels, save
from lab.feature_visualization import CHANGES, Changes, Wish, visualize
from lab.tables import Table
from lab.topics.catalogue import Figures, Step
from models.cards.card import ModelCard
from models.cards.catalogue import bundled_repository, find
from models.onnx.as_torch import TorchGraph

NETWORKS = {"cifar10-scs": "SCS", "cifar10-conv": "convolution"}
SIZE = 32
# Frequencies, changes; from nothing to both.
WAYS: dict[str, tuple[bool, Changes | None]] = {
    "pixels": (False, None),
    "pixels that stand changes": (False, CHANGES),
    "frequencies": (True, None),
    "frequencies that stand changes": (True, CHANGES),
}
OnStep = Callable[[int], None]
BEST = "frequencies that stand changes"
SHOWN = 4  # the class whose pictures are drawn for each way: deer
LAYERS = {"stem": 5, "block2": 14, "block3": 24}  # and pixels that a unit sees
UNITS = 10  # of each layer


def run(quick: bool, step: Step) -> Figures:
    """Maximize every class of two networks in four ways, and let each network classify the other's pictures."""
    steps = 12 if quick else 128
    total = len(NETWORKS) * (len(WAYS) + len(LAYERS)) * steps
    done = 0

    def count(_: int) -> None:
        nonlocal done
        done += 1
        step(done, total)

    ways: dict[str, dict[str, dict[str, float]]] = {}
    for name in NETWORKS:
        other = next(each for each in NETWORKS if each != name)
        ways[name] = {}
        for way in WAYS:
            wishes = _classes(name, way, steps, count)
            pictures = np.stack([wish.picture for wish in wishes])
            ways[name][way] = {
                "logit": float(np.mean(_own(_logits(name, pictures)))),
                "recognised": _recognised(name, pictures),
                "by_the_other": _recognised(other, pictures),
            }
        for layer in LAYERS:
            _units(name, layer, steps, count)
    return {
        "steps": steps,
        "classes": len(_card("cifar10-scs").labels),
        "ways": ways,
    }


def tables(figures: Figures) -> dict[str, Table]:
    """Make the table: how high each way raises a class, and which network recognises what it found."""
    rows = []
    for name, ways in figures["ways"].items():
        for way, found in ways.items():
            counts = [f"{found[key]} of {figures['classes']}" for key in ("recognised", "by_the_other")]
            rows.append([f"{NETWORKS[name]}, {way}", f"{found['logit']:.0f}", *counts])
    return {
        "ways": Table(["network, and what is moved", "logit of the class", "it recognises", "the other does"], rows)
    }


def draw(figures: Figures, folder: Path) -> list[Path]:
    """Draw the classes of both networks, the four ways, and units of their layers."""
    return [
        _draw_classes(figures["steps"], folder / "classes.jpg"),
        _draw_ways(figures["steps"], folder / "ways.jpg"),
        _draw_layers(figures["steps"], folder / "layers.jpg"),
    ]


@cache
def _graph(name: str) -> TorchGraph:
    return TorchGraph(find(bundled_repository(), name).verified_bytes())


@cache
def _card(name: str) -> ModelCard:
    return find(bundled_repository(), name).card()


_made: dict[tuple[str, str, int], list[Wish]] = {}  # so that drawing does not climb again


def _classes(name: str, way: str, steps: int, on_step: OnStep = lambda done: None) -> list[Wish]:
    if (name, way, steps) not in _made:
        frequencies, changes = WAYS[way]
        _made[name, way, steps] = visualize(
            _graph(name),
            "class_map",
            range(len(_card(name).labels)),
            size=SIZE,
            steps=steps,
            frequencies=frequencies,
            changes=changes,
            on_step=on_step,
        )
    return _made[name, way, steps]


def _units(name: str, layer: str, steps: int, on_step: OnStep = lambda done: None) -> list[Wish]:
    if (name, layer, steps) not in _made:
        _made[name, layer, steps] = visualize(
            _graph(name),
            layer,
            range(UNITS),
            size=LAYERS[layer],
            steps=steps,
            unit=True,
            changes=None if layer == "stem" else CHANGES,  # a change moves five pixels out of sight
            on_step=on_step,
        )
    return _made[name, layer, steps]


@torch.no_grad()
def _logits(name: str, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    return _graph(name)(torch.from_numpy(pictures)).numpy()  # type: ignore[no-any-return]


def _own(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of picture i the logit of class i."""
    return logits.diagonal()


def _recognised(name: str, pictures: NDArray[np.uint8]) -> int:
    return int((_logits(name, pictures).argmax(1) == np.arange(len(pictures))).sum())


def _draw_classes(steps: int, path: Path) -> Path:
    labels = _card("cifar10-scs").labels
    figure, axes = panels(len(NETWORKS), len(labels), 2.4)
    for row, name in enumerate(NETWORKS):
        for column, wish in enumerate(_classes(name, BEST, steps)):
            _show(axes[row * len(labels) + column], wish, labels[column] if not row else "")
        axes[row * len(labels)].set_ylabel(NETWORKS[name], fontsize=10)
    return save(figure, path)


def _draw_ways(steps: int, path: Path) -> Path:
    figure, axes = panels(1, len(WAYS) * len(NETWORKS), 2.0)
    places = iter(axes)
    for name, family in NETWORKS.items():
        for way in WAYS:
            _show(next(places), _classes(name, way, steps)[SHOWN], f"{family},\n" + way.replace(" that", "\nthat"))
    return save(figure, path)


def _draw_layers(steps: int, path: Path) -> Path:
    figure, axes = panels(len(LAYERS) * len(NETWORKS), UNITS, 6.4)
    places = iter(axes)
    for layer, size in LAYERS.items():
        for name, family in NETWORKS.items():
            for number, wish in enumerate(_units(name, layer, steps)):
                place = next(places)
                _show(place, wish)
                if not number:
                    place.set_ylabel(f"{family}\n{layer}\n{size} px", fontsize=8)
    return save(figure, path)


def _show(axes: Axes, wish: Wish, title: str = "") -> None:
    axes.imshow(wish.picture, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.set_title(title, fontsize=8)
