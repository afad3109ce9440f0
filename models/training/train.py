"""Training of a network by its recipe, with a checkpoint after every epoch to resume from.

All randomness of an epoch comes from the seed and the epoch's number, so a training that is resumed from its checkpoint
ends with the same weights as one that was never stopped.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from models.datasets.dataset import Dataset
from models.networks import Network
from models.normalisation import Normalise, normalised
from models.training.batches import Timed, epoch_batches, evaluation_batch
from models.training.fine_tuned import FineTuned
from models.training.learner import Learner, Step
from models.training.own_recipes import OwnRecipe
from models.training.recipes import Recipe
from models.training.runs import CHECKPOINT, LOG, RESULT, WEIGHTS, Trainable, append, load_finished, save
from scs.errors import DataError

VALIDATION_IMAGES = 5_000
_FEWEST_STEPS = 5  # below that the one-cycle schedule has no room to rise and to fall


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
        recipe.style,
        recipe.normalise,
        recipe.opening,
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

    It stops early where the loss on the images held back has not fallen for ``recipe.patience`` epochs, and then has
    the weights of the epoch with the lowest. On CUDA products are computed in bfloat16 (mixed precision).

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
    if (folder / RESULT).exists():
        return load_finished(folder, identity)
    parts, device = split(dataset), device or training_device()
    batches = _count_batches(recipe, len(parts.train[0]))
    torch.manual_seed(seed)
    learner = Learner.of(build(recipe, dataset), recipe, batches, device)
    done = learner.resume(folder, identity)
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(learner.network, FineTuned):
        learner.network.start.save(folder)
    weights = _class_weights(recipe, parts.train[1], len(dataset.classes), device)
    loss_of = partial(F.cross_entropy, weight=weights, label_smoothing=recipe.label_smoothing)

    for epoch in range(done + 1, recipe.epochs + 1):
        if learner.early_stop.is_over(epoch - 1):
            break
        started = time.perf_counter()
        shown = Timed(epoch_batches(*parts.train, recipe, seed, epoch, device))
        for step in learner.learn(shown, loss_of, epoch, batches):
            on_step(step)
        right, loss = judge(learner.network.eval(), *parts.validation, device)
        learner.early_stop.see(epoch, loss, learner.network)
        line = {
            "epoch": epoch,
            "loss": round(step.loss, 4),
            "train_accuracy": round(step.accuracy, 4),
            "validation_accuracy": right,
            "validation_loss": round(loss, 4),
            "seconds": round(time.perf_counter() - started, 1),
            "loading_seconds": round(shown.seconds, 1),
        }
        append(folder / LOG, line, at_line=epoch)
        save(folder / CHECKPOINT, {**identity, "epoch": epoch, **learner.state()})
        done = epoch

    stopped = learner.stop_early(done) if done < recipe.epochs else None
    _finish(learner.network.eval(), folder, {**identity, "note": note, "stopped": stopped}, dataset, parts, device)
    return learner.network


def _count_batches(recipe: Recipe, images: int) -> int:
    batches = images // recipe.batch_size
    if batches == 0:
        raise DataError(f"a batch needs {recipe.batch_size} images; {images} came")
    if recipe.epochs * batches < _FEWEST_STEPS:
        raise DataError(f"a training needs {_FEWEST_STEPS} steps; {recipe.epochs} epoch(s) of {batches} batch(es) came")
    return batches


def _finish(
    network: Trainable, folder: Path, begun: dict[str, Any], dataset: Dataset, parts: Split, device: torch.device
) -> None:
    """Measure a trained network, and write its weights and the result, the result last."""
    validation_accuracy, validation_loss = judge(network, *parts.validation, device)
    result = {
        **begun,
        "own": _own_figures(dataset, parts),
        "classes": list(dataset.classes),
        "channels": network.channels,
        "validation_accuracy": validation_accuracy,
        "validation_loss": validation_loss,
        "test_accuracy": judge(network, *parts.test, device)[0],
        "git_commit": _git_commit(),
        "torch": torch.__version__,
    }
    save(folder / WEIGHTS, network.cpu().state_dict())
    unfinished = (folder / RESULT).with_suffix(".tmp")
    unfinished.write_text(json.dumps(result, indent=2) + "\n")
    os.replace(unfinished, folder / RESULT)


@torch.no_grad()
def judge(
    network: Trainable, images: Tensor, labels: Tensor, device: torch.device | None = None
) -> tuple[float, float]:
    """Return a network's accuracy on images ``(N, H, W, C)``, and its loss (cross-entropy).

    It is in evaluation mode.
    """
    correct, loss = 0, 0.0
    count = evaluation_batch(images.shape[1] * images.shape[2])
    for x, y in zip(images.split(count), labels.split(count), strict=True):
        logits = network(x.to(device)).cpu()
        correct += int((logits.argmax(1) == y).sum())
        loss += float(F.cross_entropy(logits, y, reduction="sum"))
    return correct / len(images), loss / len(images)


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


def _git_commit() -> str | None:
    """Return the commit of the code that is running, or None outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
