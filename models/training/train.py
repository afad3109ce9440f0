"""Training of a network by its recipe, with a checkpoint after every epoch to resume from.

All randomness of an epoch comes from the seed and the epoch's number, so a training that is resumed from its checkpoint
ends with the same weights as one that was never stopped.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from models.datasets.dataset import Dataset
from models.networks import Network, add_gains
from models.normalisation import Normalise, normalised
from models.training.batches import Timed, epoch_batches, evaluation_batch
from models.training.fine_tuned import BODY_RATE, FineTuned, Start
from models.training.own_recipes import OwnRecipe
from models.training.recipes import Recipe
from scs.errors import DataError

VALIDATION_IMAGES = 5_000
_FEWEST_STEPS = 5  # below that the one-cycle schedule has no room to rise and to fall

Trainable = Network | FineTuned
_ANOTHER = "name another folder with --out, or empty it"
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

    At most ``VALIDATION_IMAGES``, and never more than a tenth, are held back; or those that the data set says.
    """
    test = torch.from_numpy(dataset.test_images), torch.from_numpy(dataset.test_labels)
    if dataset.validation_images is not None and dataset.validation_labels is not None:
        return Split(
            train=(torch.from_numpy(dataset.train_images), torch.from_numpy(dataset.train_labels)),
            validation=(torch.from_numpy(dataset.validation_images), torch.from_numpy(dataset.validation_labels)),
            test=test,
        )
    order = np.random.default_rng(0).permutation(len(dataset.train_images))
    held_back = min(VALIDATION_IMAGES, len(order) // 10)
    images, labels = torch.from_numpy(dataset.train_images[order]), torch.from_numpy(dataset.train_labels[order])
    return Split(
        train=(images[held_back:], labels[held_back:]),
        validation=(images[:held_back], labels[:held_back]),
        test=test,
    )


def build_network(recipe: Recipe, dataset: Dataset) -> Network:
    """Build an untrained network for a data set, with weights drawn from torch's global random generator."""
    mean, std = _statistics(dataset.train_images, recipe.normalise)
    return Network(
        recipe.family,
        dataset.train_images.shape[3],
        len(dataset.classes),
        recipe.widths,
        recipe.stages,
        recipe.stem_size,
        mean,
        std,
        recipe.blur,
        recipe.normalise,
    )


def _statistics(images: NDArray[np.uint8], normalise: Normalise) -> tuple[list[float], list[float]]:
    """Return mean and deviation of each channel of normalised images ``(N, H, W, C)``, on the scale 0 to 1."""
    if normalise == "none":
        pixels = images.reshape(-1, images.shape[3])
        return (pixels.mean(0) / 255).tolist(), (pixels.std(0) / 255).tolist()
    batches = torch.from_numpy(images).split(evaluation_batch(images.shape[1] * images.shape[2]))
    found = [normalised(batch.permute(0, 3, 1, 2).float(), normalise).double() for batch in batches]
    pixels_of = [batch.transpose(0, 1).flatten(1) for batch in found]
    count = sum(one.shape[1] for one in pixels_of)
    mean = sum((one.sum(1) for one in pixels_of), torch.zeros(())) / count
    variance = sum((one.square().sum(1) for one in pixels_of), torch.zeros(())) / count - mean.square()
    return (mean / 255).tolist(), (variance.sqrt() / 255).tolist()


def train(
    recipe: Recipe,
    dataset: Dataset,
    folder: Path,
    seed: int = 0,
    note: str = "",
    on_step: Callable[[Step], None] = lambda step: None,
    build: Callable[[Recipe, Dataset], Trainable] = build_network,
    device: torch.device | None = None,
) -> Trainable:
    """Train a network, resuming from the checkpoint in ``folder`` where there is one.

    On CUDA products are computed in bfloat16 (mixed precision).

    Args:
        recipe: what to train and how.
        dataset: its images; a part of the training images is held back, see :func:`split`.
        folder: receives the checkpoint, the log (a JSON line an epoch), the weights and the result.
        seed: decides the first weights, the order of the images and their augmentation.
        note: what a reader of the accuracy must know of the data; kept with the result.
        on_step: called after every batch.
        build: makes the untrained network; another one than the recipe's for experiments.
        device: where it is trained; CUDA where there is one, unless given.

    Returns:
        The trained network, in evaluation mode.

    Raises:
        DataError: the folder holds a training of another recipe, seed or data, or there are too few images for a batch
            or steps for a schedule.
    """
    identity = {"recipe": asdict(recipe), "seed": seed, "data": dataset.sha256}
    device = device or training_device()
    if (folder / RESULT).exists():
        return _finished(folder, identity)
    parts = split(dataset)
    images, labels = parts.train
    batches = len(images) // recipe.batch_size
    if batches == 0:
        raise DataError(f"a batch needs {recipe.batch_size} images; {len(images)} came")
    if recipe.epochs * batches < _FEWEST_STEPS:
        raise DataError(f"a training needs {_FEWEST_STEPS} steps; {recipe.epochs} epoch(s) of {batches} batch(es) came")

    torch.manual_seed(seed)
    network = build(recipe, dataset).to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = _optimiser(network, recipe)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, [group["lr"] for group in optimiser.param_groups], recipe.epochs * batches, pct_start=0.25
    )
    done = _resume(folder, identity, network, optimiser, schedule, device)
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(network, FineTuned):
        network.start.save(folder)
    weights = _class_weights(recipe, labels, len(dataset.classes), device)

    for epoch in range(done + 1, recipe.epochs + 1):
        started = time.perf_counter()
        shown = Timed(epoch_batches(images, labels, recipe, seed, epoch, device))
        loss_of = partial(F.cross_entropy, weight=weights, label_smoothing=recipe.label_smoothing)
        for step in _learn(network, optimiser, schedule, shown, loss_of, epoch, batches):
            on_step(step)
        network.eval()
        line = {
            "epoch": epoch,
            "loss": round(step.loss, 4),
            "train_accuracy": round(step.accuracy, 4),
            "validation_accuracy": accuracy(network, *parts.validation, device),
            "seconds": round(time.perf_counter() - started, 1),
            "loading_seconds": round(shown.seconds, 1),
        }
        _append(folder / LOG, line, at_line=epoch)
        state = {"model": network.state_dict(), "optimiser": optimiser.state_dict(), "schedule": schedule.state_dict()}
        _save(folder / CHECKPOINT, {**identity, "epoch": epoch, **state})

    network.eval()
    result = {
        **identity,
        "note": note,
        "own": _own_figures(dataset, parts),
        "classes": list(dataset.classes),
        "channels": network.channels,
        "validation_accuracy": accuracy(network, *parts.validation, device),
        "test_accuracy": accuracy(network, *parts.test, device),
        "git_commit": _git_commit(),
        "torch": torch.__version__,
    }
    _save(folder / WEIGHTS, network.cpu().state_dict())
    unfinished = (folder / RESULT).with_suffix(".tmp")
    unfinished.write_text(json.dumps(result, indent=2) + "\n")
    os.replace(unfinished, folder / RESULT)
    return network


def run_result(folder: Path) -> dict[str, Any]:
    """Return the result of a finished run.

    Raises:
        DataError: the folder holds no finished run.
    """
    if not (folder / RESULT).exists():
        raise DataError(f"a finished training has a {RESULT}; '{folder.name}' has none: run scs train first")
    result: dict[str, Any] = json.loads((folder / RESULT).read_text())
    result.setdefault("own", None)  # of trainings from before there was one's own data
    return result


def load_network(folder: Path) -> tuple[Trainable, dict[str, Any]]:
    """Load the trained network of a finished run, in evaluation mode, and its result.

    Raises:
        DataError: the folder holds no finished run.
    """
    result = run_result(folder)
    recipe, classes = result["recipe"], result["classes"]
    _fill_in(recipe)
    if recipe.get("start"):
        tuned = FineTuned(Start.load(folder), len(classes), recipe["frozen"])
        tuned.load_state_dict(torch.load(folder / WEIGHTS, weights_only=True))
        return tuned.eval(), result
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
        recipe["normalise"],
    )
    weights = torch.load(folder / WEIGHTS, weights_only=True)
    if "stem.gain" in weights:
        add_gains(network)
    network.load_state_dict(weights)
    return network.eval(), result


@torch.no_grad()
def accuracy(network: Trainable, images: Tensor, labels: Tensor, device: torch.device | None = None) -> float:
    """Return the share of images ``(N, H, W, C)`` that a network in evaluation mode classifies correctly."""
    count = evaluation_batch(images.shape[1] * images.shape[2])
    correct = sum(
        int((network(x.to(device)).argmax(1).cpu() == y).sum())
        for x, y in zip(images.split(count), labels.split(count), strict=True)
    )
    return correct / len(images)


def training_device() -> torch.device:
    """Return where to train: CUDA where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _own_figures(dataset: Dataset, parts: Split) -> dict[str, Any] | None:
    """Return what an export needs to know of somebody's own data; None of a data set that is published."""
    if dataset.own is None:
        return None
    height, width = dataset.test_images.shape[1:3]
    geometry = dataset.own.geometry
    return {
        "name": dataset.name,
        "split_seed": dataset.own.split_seed,
        "left_out": list(dataset.own.left_out),
        "width": width,
        "height": height,
        "channels": dataset.test_images.shape[3],
        "geometry": geometry and geometry.model_dump(),
        "train": len(parts.train[1]),
        "validation": len(parts.validation[1]),
        "test": len(parts.test[1]),
    }


def _class_weights(recipe: Recipe, labels: Tensor, classes: int, device: torch.device) -> Tensor | None:
    """Return weights of the classes by which each counts alike, their mean over the images 1; None where not asked."""
    if not (isinstance(recipe, OwnRecipe) and recipe.class_weights):
        return None
    counts = torch.bincount(labels, minlength=classes).float()
    return (len(labels) / (classes * counts)).to(device)


def _learn(
    network: Trainable,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    batches: Iterable[tuple[Tensor, Tensor]],
    loss_of: Callable[[Tensor, Tensor], Tensor],
    epoch: int,
    count: int,
) -> Iterator[Step]:
    """Train for one epoch, a step of the optimiser a batch, and yield the progress after each."""
    network.train()
    loss_sum, seen, correct = 0.0, 0, 0
    for batch, (x, y) in enumerate(batches, start=1):
        with torch.autocast(x.device.type, torch.bfloat16, enabled=x.is_cuda):
            logits = network(x).float()
        loss = loss_of(logits, y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        loss_sum += loss.item()
        seen += len(y)
        correct += int((logits.argmax(1) == y).sum())
        yield Step(epoch, batch, count, loss_sum / batch, correct / seen)


def _optimiser(network: Trainable, recipe: Recipe) -> torch.optim.Optimizer:
    body = {id(p) for p in network.body.parameters()} if isinstance(network, FineTuned) else set()
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in network.parameters():
        groups.setdefault((id(parameter) in body, parameter.ndim > 1), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "lr": (BODY_RATE if is_body else 1) * recipe.learning_rate,
                "weight_decay": recipe.weight_decay if is_kernel else 0.0,
            }
            for (is_body, is_kernel), parameters in sorted(groups.items(), key=lambda pair: pair[0], reverse=True)
        ]
    )


def _resume(
    folder: Path,
    identity: dict[str, Any],
    network: Trainable,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    device: torch.device,
) -> int:
    """Load the checkpoint, if there is one, and return how many epochs it holds."""
    if not (folder / CHECKPOINT).exists():
        return 0
    checkpoint = torch.load(folder / CHECKPOINT, weights_only=True, map_location=device)
    _check_identity(folder, checkpoint, identity)
    if checkpoint["model"].keys() != network.state_dict().keys():
        raise DataError(f"'{folder}' holds a training of an earlier version's network; {_ANOTHER}")
    network.load_state_dict(checkpoint["model"])
    optimiser.load_state_dict(checkpoint["optimiser"])
    schedule.load_state_dict(checkpoint["schedule"])
    return int(checkpoint["epoch"])


def _finished(folder: Path, identity: dict[str, Any]) -> Trainable:
    """Load the network of a finished training, whose files stay as they are."""
    network, result = load_network(folder)
    _check_identity(folder, result, identity)
    return network


def _check_identity(folder: Path, found: dict[str, Any], identity: dict[str, Any]) -> None:
    """Refuse to go on with a training of another recipe, seed or data.

    Raises:
        DataError: it is one; the message says which of them differs.
    """
    _fill_in(found["recipe"])
    found.setdefault("data", identity["data"])  # of trainings from before data were told apart
    came = json.loads(json.dumps({key: found[key] for key in identity}))
    others = [key for key, value in json.loads(json.dumps(identity)).items() if came[key] != value]
    if others:
        what = " and ".join("other data" if key == "data" else f"another {key}" for key in others)
        raise DataError(f"'{folder}' holds a training with {what}; {_ANOTHER}")


def _fill_in(recipe: dict[str, Any]) -> None:
    """Add what recipes had not, before there was a choice."""
    recipe.setdefault("blur", False)
    recipe.setdefault("normalise", "none")


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
