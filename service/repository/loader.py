"""The loading of one version of a model: its file is checked, loaded, and compared with its card on a few images."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

import numpy as np
import onnx

from models.cards.card import ModelCard
from models.cards.catalogue import Entry, verified
from models.onnx.bounds import is_bounded
from models.runtime.check import check_model
from models.runtime.load import Device, RunnableModel, load_model
from models.runtime.one_at_a_time import OneAtATime
from models.runtime.taken import Taken
from scs.errors import ForbiddenError, ModelError
from service.workers.channel import OpenFile


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model that has answered a warm-up; immutable, so that a request ends with the model it began with.

    Attributes:
        card: what it is, with what was found out about the sizes and numbers of images that it takes.
        runtime: what runs it in this process.
        file: its file, open, so that another process can load what was checked here.
        is_bounded: whether the size of its input bounds its work; one that is not bounded runs only where it can be
            killed.
        card_on_disk: its card as it was read; the same unless given.
    """

    card: ModelCard
    runtime: RunnableModel
    file: BinaryIO | None = None
    is_bounded: bool = True
    card_on_disk: ModelCard | None = None

    def __post_init__(self) -> None:
        if self.file is not None:
            weakref.finalize(self, self.file.close)


@dataclass(frozen=True)
class StandIn:
    """What stands for a model that does not run in this process.

    Attributes:
        make: makes it, of the model's card and its open file.
        is_bounded: whether the size of the model's input bounds its work.
    """

    make: Callable[[ModelCard, BinaryIO], RunnableModel]
    is_bounded: bool


@dataclass(frozen=True)
class Tried:
    """What a trial found out.

    Attributes:
        taken: the sizes and numbers of images that the model takes.
        stand_in: what stands for a model that must not run in this process.
    """

    taken: Taken
    stand_in: StandIn | None = None


TryOut = Callable[[ModelCard, BinaryIO], Tried]  # where it can be stopped


def load_entry(
    entry: Entry,
    device: Device,
    allow_torchscript: bool,
    loaded: LoadedModel | None = None,
    try_out: TryOut | None = None,
) -> LoadedModel:
    """Load one model: check its file's digest, load it, and run a warm-up.

    Args:
        entry: the model.
        device: where it shall run.
        allow_torchscript: whether it may be a program.
        loaded: what is loaded of it; given back where card and file are still the same.
        try_out: loads it and runs its warm-up where that can be stopped, before this process does; unless given,
            nothing is tried.

    Raises:
        ModelError, MissingPackageError, DeviceError: why it cannot be used.
        ForbiddenError: it is TorchScript, and that is not allowed.
        OSError: its files cannot be read.
    """
    card = _allowed_card(entry, allow_torchscript)
    with ExitStack() as closing:
        file = closing.enter_context(entry.open_model(card))
        content = _read_whole(file, card)
        if loaded is not None and card == (loaded.card_on_disk or loaded.card):
            return loaded
        if try_out is None:
            runtime, taken, bounded = load_and_check(content, card, device)
            noted = taken.noted_on(card)
        else:
            tried = try_out(card, file)
            noted, stand_in = tried.taken.noted_on(card), tried.stand_in
            bounded = stand_in is None or stand_in.is_bounded
            if stand_in is None:
                # Its layers were tried out elsewhere; /activations is answered by workers, too.
                read_again = partial(_read_whole, file, card)
                runtime = load_and_warm_up(content, noted, device, read_again, with_layers=False)
            else:
                runtime = stand_in.make(noted, file)
        closing.pop_all()  # from here on the file is the model's
        return LoadedModel(noted, runtime, file, bounded, card_on_disk=card)


def try_entry(entry: Entry, allow_torchscript: bool, try_out: TryOut) -> None:
    """Try a model out as :func:`load_entry` does it, for those who remember what came of it; raise the same."""
    card = _allowed_card(entry, allow_torchscript)
    with entry.open_model(card) as file:
        try_out(card, file)


def _allowed_card(entry: Entry, allow_torchscript: bool) -> ModelCard:
    card = entry.card()
    if card.format == "torchscript" and not allow_torchscript:
        raise ForbiddenError(
            f"{card.name} {card.version} is TorchScript, a program; it runs where SCS_ALLOW_TORCHSCRIPT=true says so"
        )
    return card


def load_and_check(content: bytes, card: ModelCard, device: Device) -> tuple[RunnableModel, Taken, bool]:
    """Load a model file's bytes, and check by running it that the model is what its card says.

    Returns:
        The model; the sizes and numbers of images that it takes; and whether its input's size bounds its work.

    Raises:
        ModelError, MissingPackageError, DeviceError: why it cannot be used.
    """
    runtime = load_model(content, card, device)
    # What TorchScript does cannot be seen, but it is a program, and runs only where the operator trusts it.
    bounded = card.format != "onnx" or is_bounded(onnx.load_from_string(content))
    taken = check_model(runtime, card, bounded)
    return (OneAtATime(runtime) if taken.one_at_a_time else runtime), taken, bounded


def _read_whole(file: BinaryIO, card: ModelCard) -> bytes:
    """Read a model's open file, wherever others who have it open are in it, in no more memory than it has bytes."""
    return verified(OpenFile(file.fileno()).read(), card)


def load_tried(content: bytes, card: ModelCard, device: Device) -> RunnableModel:
    """Load a model file's bytes that another process has tried out; sessions of a large model open when it is run.

    Raises:
        ModelError, MissingPackageError: it cannot be loaded.
    """
    return _batched(load_model(content, card, device, is_tried=True), card)


def load_and_warm_up(
    content: bytes,
    card: ModelCard,
    device: Device,
    read_again: Callable[[], bytes] | None = None,
    *,
    with_layers: bool = True,
) -> RunnableModel:
    """Load a model file's bytes that were checked elsewhere, and run the model on a blank image.

    Args:
        content: of the file.
        card: with what was found out.
        device: where it shall run.
        read_again: see :func:`models.runtime.load.load_model`.
        with_layers: whether its layers are run, too.

    Raises:
        ModelError, MissingPackageError, DeviceError: why it cannot be used.
    """
    runtime = load_model(content, card, device, read_again)
    blank = np.zeros((1, card.input.height, card.input.width, card.input.channels), np.uint8)
    try:
        if with_layers:
            runtime.layers(blank, [layer.name for layer in card.layers])
        logits = runtime.logits(blank)
    except Exception as error:  # each runtime raises classes of its own
        raise ModelError(f"{card.name} {card.version} did not answer a blank image: {str(error)[:200]}") from error
    if logits.shape != (1, len(card.labels)):
        raise ModelError(f"{card.name} {card.version} needs {len(card.labels)} logits an image; {logits.shape} came")
    return _batched(runtime, card)


def _batched(runtime: RunnableModel, card: ModelCard) -> RunnableModel:
    return OneAtATime(runtime) if card.serving.max_batch_size == 1 else runtime
