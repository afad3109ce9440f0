"""The trial of a model before the service loads it: loaded and warmed up in a process that can be killed."""

from __future__ import annotations

from typing import BinaryIO

import onnx

from models.cards.card import ModelCard
from models.onnx import native
from models.onnx.bounds import is_bounded
from models.runtime.load import RunnableModel
from scs.errors import DeadlineError, ModelError, TooLargeError, WorkerLostError
from service.repository.loader import load_and_warm_up
from service.repository.sent_model import SentModel
from service.repository.worker_model import WorkerModel
from service.workers.channel import OpenFile
from service.workers.job import UnforeseenError
from service.workers.worker import run_once


class Trial:
    """The trials of models, each in a worker of its own; one that passed is not repeated.

    Args:
        seconds: that a model may take to be loaded and to answer a blank image.
        memory: bytes that it may take for that.
    """

    def __init__(self, seconds: float, memory: int | None) -> None:
        self.seconds, self.memory = seconds, memory

    def __call__(self, card: ModelCard, file: BinaryIO) -> RunnableModel | None:
        """Try a model out.

        Returns:
            None for a model that this process may load and run; what stands for it here, for one whose work is not
            bounded by its input's size.

        Raises:
            ModelError, MissingPackageError: it cannot be loaded, or not within the limits.
        """
        key = card.model_dump_json()
        if key in _passed:
            return None
        name = f"{card.name} {card.version}"
        try:
            kernels, bounded = run_once(self.seconds, self.memory, _try_out, SentModel(card, OpenFile(file.fileno())))
        except DeadlineError:
            raise ModelError(
                f"{name} needs to load and answer a blank image within {self.seconds:g} seconds; it took longer"
            ) from None
        except TooLargeError as error:
            raise ModelError(f"{name} did not load and answer a blank image: {error}") from None
        except (WorkerLostError, UnforeseenError) as error:
            raise ModelError(f"{name} did not load and answer a blank image: its process ended: {error}") from None
        if bounded:
            _passed.add(key)
            return None
        return WorkerModel(card, file, self.seconds, self.memory, kernels)


_passed: set[str] = set()  # cards, which have the SHA-256 of their files


def _try_out(sent: SentModel) -> tuple[native.Kernels | None, bool]:
    """Load a model and run it; return its kernels, and whether its work is bounded."""
    content = sent.content()
    runtime = load_and_warm_up(content, sent.card, "cpu")
    # What TorchScript does cannot be seen, but it is a program, and runs only where the operator trusts it.
    bounded = sent.card.format != "onnx" or is_bounded(onnx.load_from_string(content))
    return runtime.kernels, bounded
