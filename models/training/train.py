"""Training of a network by its recipe, with a checkpoint after every epoch to resume from.

All randomness of an epoch comes from the seed and the epoch's number, so a training that is resumed from its checkpoint
ends with the same weights as one that was never stopped.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.datasets.dataset import Dataset
from models.networks import Network
from models.training import augmentation
from models.training.recipes import Recipe
from scs.errors import DataError

VALIDATION_IMAGES = 5_000
_EVALUATION_BATCH = 500
_FEWEST_STEPS = 5  # below that the one-cycle schedule has no room to rise and to fall

CHECKPOINT, LOG, RESULT, WEIGHTS = "checkpoint.pt", "log.jsonl", "result.json", "weights.pt"


@dataclass(frozen=True)
class Step:
    """Progress of a training: epoch and batch, from 1, and loss and accuracy so far in this epoch."""

    epoch: int
    batch: int
    batches: int
    loss: float
    accuracy: float


@dataclass(frozen=True)
class Split:
    """Training, validation and test set as tensors: images ``(N, H, W, C)`` uint8 and labels ``(N,)``."""

    train: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]


def split(dataset: Dataset) -> Split:
    """Split off a validation set for choosing between seeds and recipes, the same for every seed.

    At most ``VALIDATION_IMAGES``, and never more than a tenth, are held back.
    """
    order = np.random.default_rng(0).permutation(len(dataset.train_images))
    held_back = min(VALIDATION_IMAGES, len(order) // 10)
    images, labels = torch.from_numpy(dataset.train_images[order]), torch.from_numpy(dataset.train_labels[order])
    return Split(
        train=(images[held_back:], labels[held_back:]),
        validation=(images[:held_back], labels[:held_back]),
        test=(torch.from_numpy(dataset.test_images), torch.from_numpy(dataset.test_labels)),
    )


def build_network(recipe: Recipe, dataset: Dataset) -> Network:
    """Build an untrained network for a data set, with weights drawn from torch's global random generator."""
    pixels = dataset.train_images.reshape(-1, dataset.train_images.shape[-1])
    mean, std = pixels.mean(0) / 255, pixels.std(0) / 255
    return Network(
        recipe.family,
        pixels.shape[1],
        len(dataset.classes),
        recipe.widths,
        recipe.stages,
        recipe.stem_size,
        mean.tolist(),
        std.tolist(),
        recipe.blur,
    )


def train(
    recipe: Recipe,
    dataset: Dataset,
    folder: Path,
    seed: int = 0,
    note: str = "",
    on_step: Callable[[Step], None] = lambda step: None,
    build: Callable[[Recipe, Dataset], Network] = build_network,
) -> Network:
    """Train a network, resuming from the checkpoint in ``folder`` where there is one.

    Args:
        recipe: what to train and how.
        dataset: its images; a part of the training images is held back, see :func:`split`.
        folder: receives the checkpoint, the log (a JSON line an epoch), the weights and the result.
        seed: decides the first weights, the order of the images and their augmentation.
        note: what a reader of the accuracy must know of the data; kept with the result.
        on_step: called after every batch.
        build: makes the untrained network; another one than the recipe's for experiments.

    Returns:
        The trained network, in evaluation mode.

    Raises:
        DataError: the folder holds a training of another recipe, seed or data, or there are too few images for a
            batch or steps for a schedule.
    """
    identity = {"recipe": asdict(recipe), "seed": seed, "data": _fingerprint(dataset)}
    if (folder / RESULT).exists():
        return _finished(folder, identity)
    folder.mkdir(parents=True, exist_ok=True)
    parts = split(dataset)
    images, labels = parts.train
    batches = len(images) // recipe.batch_size
    if batches == 0:
        raise DataError(f"a batch needs {recipe.batch_size} images; {len(images)} came")
    if recipe.epochs * batches < _FEWEST_STEPS:
        raise DataError(f"a training needs {_FEWEST_STEPS} steps; {recipe.epochs} epoch(s) of {batches} batch(es) came")

    torch.manual_seed(seed)
    network = build(recipe, dataset)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = _optimiser(network, recipe)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, total_steps=recipe.epochs * batches, pct_start=0.25
    )
    done = _resume(folder, identity, network, optimiser, schedule)

    for epoch in range(done + 1, recipe.epochs + 1):
        started = time.perf_counter()
        shown = _batches(images, labels, recipe, seed, epoch)
        for step in _learn(network, optimiser, schedule, shown, recipe.label_smoothing, epoch, batches):
            on_step(step)
        network.eval()
        line = {
            "epoch": epoch,
            "loss": round(step.loss, 4),
            "train_accuracy": round(step.accuracy, 4),
            "validation_accuracy": accuracy(network, *parts.validation),
            "seconds": round(time.perf_counter() - started, 1),
        }
        _append(folder / LOG, line, at_line=epoch)
        state = {"model": network.state_dict(), "optimiser": optimiser.state_dict(), "schedule": schedule.state_dict()}
        _save(folder / CHECKPOINT, {**identity, "epoch": epoch, **state})

    network.eval()
    _save(folder / WEIGHTS, network.state_dict())
    result = {
        **identity,
        "note": note,
        "classes": list(dataset.classes),
        "channels": network.channels,
        "validation_accuracy": accuracy(network, *parts.validation),
        "test_accuracy": accuracy(network, *parts.test),
        "git_commit": _git_commit(),
        "torch": torch.__version__,
    }
    unfinished = (folder / RESULT).with_suffix(".tmp")
    unfinished.write_text(json.dumps(result, indent=2) + "\n")
    os.replace(unfinished, folder / RESULT)
    return network


def load_network(folder: Path) -> tuple[Network, dict[str, Any]]:
    """Load the trained network of a finished run, in evaluation mode, and its result.

    Raises:
        DataError: the folder holds no finished run.
    """
    if not (folder / RESULT).exists():
        raise DataError(f"a finished training has a {RESULT}; '{folder.name}' has none: run scs train first")
    result = json.loads((folder / RESULT).read_text())
    recipe, classes = result["recipe"], result["classes"]
    recipe.setdefault("blur", False)  # of trainings from before there was one
    flat = [0.0] * result["channels"], [1.0] * result["channels"]  # the weights file holds the real ones
    network = Network(
        recipe["family"],
        result["channels"],
        len(classes),
        recipe["widths"],
        recipe["stages"],
        recipe["stem_size"],
        *flat,
        recipe["blur"],
    )
    network.load_state_dict(torch.load(folder / WEIGHTS, weights_only=True))
    return network.eval(), result


@torch.no_grad()
def accuracy(network: Network, images: Tensor, labels: Tensor) -> float:
    """Return the share of images ``(N, H, W, C)`` that a network in evaluation mode classifies correctly."""
    correct = sum(
        int((network(x).argmax(1) == y).sum())
        for x, y in zip(images.split(_EVALUATION_BATCH), labels.split(_EVALUATION_BATCH), strict=True)
    )
    return correct / len(images)


def _learn(
    network: Network,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    batches: Iterator[tuple[Tensor, Tensor]],
    smoothing: float,
    epoch: int,
    count: int,
) -> Iterator[Step]:
    """Train for one epoch, a step of the optimiser a batch, and yield the progress after each."""
    network.train()
    loss_sum, seen, correct = 0.0, 0, 0
    for batch, (x, y) in enumerate(batches, start=1):
        logits = network(x)
        loss = F.cross_entropy(logits, y, label_smoothing=smoothing)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        loss_sum += loss.item()
        seen += len(y)
        correct += int((logits.argmax(1) == y).sum())
        yield Step(epoch, batch, count, loss_sum / batch, correct / seen)


def _batches(images: Tensor, labels: Tensor, recipe: Recipe, seed: int, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    order = torch.randperm(len(images), generator=generator)
    for start in range(0, len(order) - recipe.batch_size + 1, recipe.batch_size):
        chosen = order[start : start + recipe.batch_size]
        x = augmentation.shift(images[chosen], recipe.shift, generator)
        if recipe.mirror:
            x = augmentation.mirror(x, generator)
        yield x, labels[chosen]


def _optimiser(network: Network, recipe: Recipe) -> torch.optim.Optimizer:
    parameters = list(network.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate)


def _resume(
    folder: Path,
    identity: dict[str, Any],
    network: Network,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> int:
    """Load the checkpoint, if there is one, and return how many epochs it holds."""
    if not (folder / CHECKPOINT).exists():
        return 0
    checkpoint = torch.load(folder / CHECKPOINT, weights_only=True)
    checkpoint["recipe"].setdefault("blur", False)
    if {key: checkpoint.get(key, identity[key]) for key in identity} != identity:
        raise DataError(
            f"'{folder}' holds a training with another recipe, seed or data; name another folder or empty it"
        )
    network.load_state_dict(checkpoint["model"])
    optimiser.load_state_dict(checkpoint["optimiser"])
    schedule.load_state_dict(checkpoint["schedule"])
    return int(checkpoint["epoch"])


def _fingerprint(dataset: Dataset) -> str:
    """Return the SHA-256 of all images, labels and classes. Runs that do not have it, being older, are not compared."""
    digest = hashlib.sha256(json.dumps(dataset.classes).encode())
    for array in (dataset.train_images, dataset.train_labels, dataset.test_images, dataset.test_labels):
        digest.update(f"{array.shape}{array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _finished(folder: Path, identity: dict[str, Any]) -> Network:
    """Load the network of a finished training, whose files stay as they are."""
    network, result = load_network(folder)
    if {key: result.get(key, identity[key]) for key in identity} != json.loads(json.dumps(identity)):
        raise DataError(
            f"'{folder}' holds a training with another recipe, seed or data; name another folder or empty it"
        )
    return network


def _save(path: Path, state: dict[str, Any]) -> None:
    """Write a file atomically: a kill in the middle leaves the previous file."""
    unfinished = path.with_suffix(".tmp")
    torch.save(state, unfinished)
    os.replace(unfinished, path)


def _append(path: Path, line: dict[str, Any], at_line: int) -> None:
    """Write line number ``at_line`` of a log, dropping what an interrupted epoch left from there on."""
    before = path.read_text().splitlines()[: at_line - 1] if path.exists() else []
    path.write_text("\n".join([*before, json.dumps(line)]) + "\n")


def _git_commit() -> str | None:
    """Return the commit of the code that is running, or None outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
