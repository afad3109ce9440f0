"""Learning curves of a training: loss and accuracies by epoch."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # the backend is chosen before it is loaded


def draw_curves(log: Path, out: Path, title: str, best: int | None = None) -> None:
    """Draw learning curves as a PNG.

    Args:
        log: of a training, as JSON Lines, see :mod:`models.training.runs`.
        out: the picture.
        title: above it.
        best: the epoch whose weights a training has that stopped early; it is marked.
    """
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    epochs = [line["epoch"] for line in lines]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    left.plot(epochs, [line["loss"] for line in lines], color="#0072b2", marker=".", label="training, augmented")
    if all("validation_loss" in line for line in lines):
        losses = [line["validation_loss"] for line in lines]
        left.plot(epochs, losses, color="#d55e00", marker=".", label="held back")
    left.set(xlabel="epoch", ylabel="loss", ylim=(0, None))
    for key, label, colour in (
        ("train_accuracy", "training, augmented", "#0072b2"),
        ("validation_accuracy", "held back", "#d55e00"),
    ):
        right.plot(epochs, [100 * line[key] for line in lines], color=colour, marker=".", label=label)
    right.set(xlabel="epoch", ylabel="accuracy, %")
    for axes in (left, right):
        if best is not None:
            axes.axvline(best, color="#666666", linestyle="--", label=f"stopped early: epoch {best} is kept")
        axes.legend()
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title)
    figure.savefig(out, dpi=120)
    pyplot.close(figure)
