"""Early stop: a training ends where the loss on what is held back has not fallen for some epochs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn


@dataclass
class EarlyStop:
    """The best epoch so far, by the loss on the images held back, and its weights.

    Attributes:
        patience: epochs without a lower loss after which training stops; 0 never stops it.
        epoch: the best one; 0 before there is one.
        loss: on the images held back, after it.
        weights: the network's state after it.
    """

    patience: int
    epoch: int = 0
    loss: float = math.inf
    weights: dict[str, Tensor] = field(default_factory=dict)

    def see(self, epoch: int, loss: float, network: nn.Module) -> None:
        """Take note of an epoch, and keep the network's weights where it is the best one."""
        if self.patience and loss < self.loss:
            self.epoch, self.loss = epoch, loss
            self.weights = {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}

    def is_over(self, epoch: int) -> bool:
        """Return whether training stops after an epoch: there was a best one, so many epochs ago."""
        return self.epoch > 0 and epoch - self.epoch >= self.patience

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {"epoch": self.epoch, "loss": self.loss, "weights": self.weights}

    def load(self, state: dict[str, Any]) -> None:
        """Take what a checkpoint kept."""
        self.epoch, self.loss, self.weights = state["epoch"], state["loss"], state["weights"]
