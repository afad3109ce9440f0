"""The trial of a model before the service loads it: loaded and warmed up in a process that can be killed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from models.cards.card import ModelCard
from models.onnx import native
from models.runtime.taken import Taken
from scs.errors import DeadlineError, ModelError, ScsError, TooLargeError, WorkerLostError
from service.repository.device.process import DeviceProcess
from service.repository.loader import StandIn, Tried, TryOut, load_and_check
from service.repository.sent_model import SentModel
from service.repository.worker_model import WorkerModel
from service.workers.channel import OpenFile
from service.workers.job import UnforeseenError
from service.workers.worker import run_once


class Trial:
    """The trials of models, each in a worker of its own; one that was answered is not repeated.

    Args:
        seconds: that a model may take to be loaded and to answer a blank image.
        memory: bytes that it may take for that.
        device: the process in which models are loaded whose work is bounded; unless given, this one.
    """

    def __init__(self, seconds: float, memory: int | None, device: DeviceProcess | None = None) -> None:
        self.seconds, self.memory, self._device = seconds, memory, device

    def __call__(self, card: ModelCard, file: BinaryIO) -> Tried:
        """Try a model out.

        Returns:
            What it takes; and what stands for it in this process, for one of a device in a process of its own, and
            for one whose work is not bounded by its input's size.

        Raises:
            ModelError, MissingPackageError: it cannot be loaded, or not within the limits.
        """
        verdict = _verdicts.get(card.model_dump_json()) or self._verdict(card, file)
        return Tried(verdict.taken, self._stand_in(verdict))

    def _stand_in(self, verdict: Verdict) -> StandIn | None:
        if not verdict.is_bounded:
            make = partial(WorkerModel, seconds=self.seconds, memory=self.memory, kernels=verdict.kernels)
            return StandIn(make, is_bounded=False)
        return None if self._device is None else StandIn(self._device.load, is_bounded=True)

    def _verdict(self, card: ModelCard, file: BinaryIO) -> Verdict:
        name = f"{card.name} {card.version}"
        try:
            verdict = run_once(self.seconds, self.memory, _try_out, SentModel(card, OpenFile(file.fileno())))
        except DeadlineError:
            raise ModelError(
                f"{name} needs to load and answer a blank image within {self.seconds:g} seconds; it took longer"
            ) from None
        except TooLargeError as error:
            raise ModelError(f"{name} did not load and answer a blank image: {error}") from None
        except (WorkerLostError, UnforeseenError) as error:
            raise ModelError(f"{name} did not load and answer a blank image: its process ended: {error}") from None
        _verdicts[card.model_dump_json()] = verdict
        return verdict


@dataclass(frozen=True)
class Verdict:
    """What a trial found out.

    Attributes:
        kernels: what runs the model's SCS layers.
        is_bounded: whether its input's size bounds its work.
        taken: the sizes and numbers of images that it takes.
    """

    kernels: native.Kernels | None
    is_bounded: bool
    taken: Taken


_verdicts: dict[str, Verdict] = {}  # by card, which has the SHA-256 of its file


class Remembering:
    """Trials whose results, good or bad, are remembered: once for a change of a model, and no longer."""

    def __init__(self, try_out: TryOut) -> None:
        self._try_out = try_out
        self._results: dict[str, Tried | ScsError] = {}

    def __call__(self, card: ModelCard, file: BinaryIO) -> Tried:
        """Try a model out, or return or raise again what came of it the first time."""
        key = card.model_dump_json()
        if key not in self._results:
            try:
                self._results[key] = self._try_out(card, file)
            except ScsError as error:
                self._results[key] = error
        result = self._results[key]
        if isinstance(result, ScsError):
            raise result
        return result


def _try_out(sent: SentModel) -> Verdict:
    """Load a model and compare it with its card, in a worker."""
    runtime, taken, bounded = load_and_check(sent.content(), sent.card, "cpu")
    return Verdict(runtime.kernels, bounded, taken)
