"""From a request to its answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

import numpy as np

from models.cards.card import InputCard, ModelCard
from models.runtime.load import Array, Images
from scs.errors import ProtocolError, TooLargeError
from service.inference.batcher import Engine
from service.inference.thread_pool import Jobs
from service.oip.images import is_light, read_images
from service.oip.messages import InferRequest, InferResponse, InputTensor, OutputTensor, RequestedOutput
from service.oip.metadata import OUTPUT
from service.oip.triton_config import max_batch_size
from service.repository.loader import LoadedModel
from service.settings import Settings

Given = ParamSpec("Given")
Result = TypeVar("Result")

_SMALL_PIXELS = 2**15  # decoded on the event loop, in less time than a thread takes to be asked for it


class Inference:
    """Answers requests of the protocol, whichever way they came. Its methods are called on the event loop.

    Args:
        settings: limits.
        engine: runs the networks.
        readers: threads for requests that take long to be read.
    """

    def __init__(self, settings: Settings, engine: Engine, readers: Jobs) -> None:
        self._settings, self._engine, self._readers = settings, engine, readers
        self._small = settings.model_copy(update={"max_pixels": min(_SMALL_PIXELS, settings.max_pixels)})

    async def aside(
        self, model: LoadedModel, work: Callable[Given, Result], *args: Given.args, **options: Given.kwargs
    ) -> Result:
        """Do what would keep the event loop for long on a thread.

        Raises:
            BusyError: too much is waiting.
            DeadlineError: it could not be done in the time that a request for this model has.
        """
        return await self._readers.run(self._engine.deadline(model), work, *args, **options)

    async def infer(self, model: LoadedModel, asked: InferRequest) -> InferResponse:
        """Run a network on the images of a request.

        Raises:
            ProtocolError: it asks for an output that the network does not have, or its input is not right.
            ImageError, UnsupportedImageError, TooLargeError, OptionError: as :func:`read_images`.
            BusyError: too much is waiting.
            DeadlineError: it could not be done in time.
            ModelError: the network could not be run.
        """
        wanted = asked.outputs or [RequestedOutput(OUTPUT, asked.binary)]
        for output in wanted:
            if output.name != OUTPUT:
                raise ProtocolError(f"the network has one output, {OUTPUT}; '{output.name[:60]}' was asked for")
        deadline = self._engine.deadline(model)
        if asked.timeout_us is not None:
            deadline = min(deadline, time.monotonic() + asked.timeout_us / 1e6)
        images = await self._images(model, asked, deadline)
        parts = [await self._logits(model, batch, deadline) for batch in images]
        logits = parts[0] if len(parts) == 1 else np.concatenate(parts)
        outputs = [_output(output, logits, model.card) for output in wanted]
        return InferResponse(model.card.name, str(model.card.version), asked.id, outputs)

    async def _images(self, model: LoadedModel, asked: InferRequest, deadline: float) -> list[Images]:
        wanted, started = model.card.input, time.perf_counter()
        images = self._read_at_once(asked.inputs, wanted)
        if images is None:
            images = await self._readers.run(deadline, read_images, asked.inputs, wanted, self._settings)
        self._engine.decoded(model, time.perf_counter() - started)
        return images

    def _read_at_once(self, tensors: Sequence[InputTensor], wanted: InputCard) -> list[Images] | None:
        """The images, or None where reading them would keep the event loop for long."""
        if not is_light(tensors):
            return None
        try:
            return read_images(tensors, wanted, self._small)
        except TooLargeError:  # a file of few bytes may hold a large picture
            return None

    async def _logits(self, model: LoadedModel, images: Images, deadline: float) -> Array:
        """Logits of images of one size; more than a batch may have are run one batch after the other."""
        _, height, width, _ = images.shape
        fitting = self._settings.max_analysed_pixels // (height * width)
        most = max(1, min(max_batch_size(model.card, self._settings), fitting))
        if len(images) <= most:
            return await self._engine.logits(model, images, deadline)
        starts = range(0, len(images), most)
        return np.concatenate(
            [await self._engine.logits(model, images[start : start + most], deadline) for start in starts]
        )


def _output(wanted: RequestedOutput, logits: Array, card: ModelCard) -> OutputTensor:
    if not wanted.classification:
        return OutputTensor(wanted.name, logits.shape, logits, wanted.binary)
    count = min(wanted.classification, len(card.labels))
    strings = [string for row in logits for string in _classes(row, card, count)]
    return OutputTensor(wanted.name, (len(logits), count), strings, wanted.binary)


def _classes(scores: Array, card: ModelCard, count: int) -> list[bytes]:
    """The best classes as ``score:index:label``, best first."""
    best = np.argsort(-scores, kind="stable")[:count]
    return [f"{scores[i]:f}:{i}:{card.labels[i]}".encode() for i in best]
