"""A network while it is trained: with its optimiser, schedule and early stop, to and from a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.training.early_stop import EarlyStop
from models.training.fine_tuned import BODY_RATE, FineTuned
from models.training.recipes import Recipe
from models.training.runs import ANOTHER_FOLDER, CHECKPOINT, Trainable, check_identity
from scs.errors import DataError

_BETA1 = 0.9  # where the one-cycle schedule, which moves it against the learning rate, finds it


@dataclass(frozen=True)
class Step:
    """Progress of a training: epoch and batch, from 1, and loss and accuracy so far in this epoch."""

    epoch: int
    batch: int
    batches: int
    loss: float
    accuracy: float


@dataclass(frozen=True)
class Learner:
    """All that changes while a network is trained.

    Attributes:
        network: what is trained.
        optimiser: of its parameters, the body of a fine-tuned network at a slower rate.
        schedule: one cycle of the learning rate.
        early_stop: the best epoch so far.
    """

    network: Trainable
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    early_stop: EarlyStop

    @classmethod
    def of(cls, network: Trainable, recipe: Recipe, batches: int, device: torch.device) -> Learner:
        """Begin with an untrained network; ``batches`` are those of an epoch."""
        network = network.to(device)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimiser = _optimiser(network, recipe)
        rates = [group["lr"] for group in optimiser.param_groups]
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rates, recipe.epochs * batches, pct_start=0.25)
        return cls(network, optimiser, schedule, EarlyStop(recipe.patience))

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {
            "model": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "early_stop": self.early_stop.state(),
        }

    def resume(self, folder: Path, identity: dict[str, Any]) -> int:
        """Load the checkpoint, if there is one, and return how many epochs it holds.

        Raises:
            DataError: it is of another training.
        """
        if not (folder / CHECKPOINT).exists():
            return 0
        # To the CPU, whatever the device: the optimiser counts its steps there, and would wait for a GPU at each.
        checkpoint = torch.load(folder / CHECKPOINT, weights_only=True, map_location="cpu")
        check_identity(folder, checkpoint, identity)
        if checkpoint["model"].keys() != self.network.state_dict().keys():
            raise DataError(f"'{folder}' holds a training of an earlier version's network; {ANOTHER_FOLDER}")
        self.network.load_state_dict(checkpoint["model"])
        self.optimiser.load_state_dict(checkpoint["optimiser"])
        self.schedule.load_state_dict(checkpoint["schedule"])
        if "early_stop" in checkpoint:  # of trainings since there is one
            self.early_stop.load(checkpoint["early_stop"])
        return int(checkpoint["epoch"])

    def learn(
        self,
        batches: Iterable[tuple[Tensor, Tensor]],
        loss_of: Callable[[Tensor, Tensor], Tensor],
        epoch: int,
        count: int,
    ) -> Iterator[Step]:
        """Train for one epoch, a step of the optimiser a batch, and yield the progress after each."""
        self.network.train()
        loss_sum, seen, correct = 0.0, 0, 0
        for batch, (x, y) in enumerate(batches, start=1):
            with torch.autocast(x.device.type, torch.bfloat16, enabled=x.is_cuda):
                logits = self.network(x).float()
            loss = loss_of(logits, y)
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            self.schedule.step()
            loss_sum += loss.item()
            seen += len(y)
            correct += int((logits.argmax(1) == y).sum())
            yield Step(epoch, batch, count, loss_sum / batch, correct / seen)

    def stop_early(self, after: int) -> dict[str, int]:
        """Take the weights of the best epoch, and say which it is and after which training stopped."""
        self.network.load_state_dict(self.early_stop.weights)
        return {"after": after, "best": self.early_stop.epoch}


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
        ],
        betas=(_BETA1, recipe.beta2),
    )
