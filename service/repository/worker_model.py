"""A model that runs in worker processes, where a run can be killed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from models.cards.card import ModelCard
from models.onnx import native
from models.runtime.load import Array, Device, Gradients, Images
from service.repository.sent_model import SentModel
from service.workers.channel import OpenFile
from service.workers.worker import run_once


@dataclass(eq=False)
class WorkerModel:
    """A model that runs in worker processes alone, because nobody knows how long it may take.

    Its methods start a worker for each run. The service itself keeps some, and does not use them.
    """

    card: ModelCard
    file: BinaryIO
    seconds: float
    memory: int | None
    kernels: native.Kernels | None
    device: Device = "cpu"
    concurrent_runs: int = 1

    def logits(self, images: Images) -> Array:
        """Logits ``(N, classes)`` of images ``(N, H, W, C)``.

        Raises:
            DeadlineError, TooLargeError: it took longer, or more memory, than it may.
        """
        return run_once(self.seconds, self.memory, run_logits, self._sent(), images)

    def layers(self, images: Images, names: Sequence[str]) -> dict[str, Array]:
        """Logits under the name ``logits``, and the maps ``(N, K, H', W')`` of the layers named.

        Raises:
            DeadlineError, TooLargeError: it took longer, or more memory, than it may.
        """
        return run_once(self.seconds, self.memory, _run_layers, self._sent(), images, list(names))

    def gradients(self, images: Images, name: str, direction: Array) -> Gradients:
        """Gradients of the logits times ``direction`` by a layer's maps.

        Raises:
            GradientError: there are none.
            DeadlineError, TooLargeError: it took longer, or more memory, than it may.
        """
        return run_once(self.seconds, self.memory, _run_gradients, self._sent(), images, name, direction)

    def kernel_input(self, images: Images, name: str) -> Array:
        """What the kernels of the layer named are laid over, ``(N, C', H', W')``.

        Raises:
            OptionError: the layer has no kernels.
            DeadlineError, TooLargeError: it took longer, or more memory, than it may.
        """
        return run_once(self.seconds, self.memory, _run_kernel_input, self._sent(), images, name)

    def _sent(self) -> SentModel:
        return SentModel(self.card, OpenFile(self.file.fileno()))


def run_logits(sent: SentModel, images: Images) -> Array:
    """Return the logits ``(N, classes)`` of images ``(N, H, W, C)``, in a worker."""
    return sent.loaded().runtime.logits(images)


def _run_layers(sent: SentModel, images: Images, names: list[str]) -> dict[str, Array]:
    return sent.loaded().runtime.layers(images, names)


def _run_gradients(sent: SentModel, images: Images, name: str, direction: Array) -> Gradients:
    return sent.loaded().runtime.gradients(images, name, direction)


def _run_kernel_input(sent: SentModel, images: Images, name: str) -> Array:
    return sent.loaded().runtime.kernel_input(images, name)
