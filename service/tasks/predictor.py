"""Predictions for many clients at once: pictures decoded beside the event loop, networks run by the engine."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any

from models.runtime.load import Array
from scs.errors import TooLargeError
from service.api.files import Upload
from service.api.predict import PredictOptions
from service.inference.batcher import Engine
from service.inference.thread_pool import Jobs
from service.repository.loader import LoadedModel
from service.settings import Settings
from service.tasks.predict import (
    NamedPictures,
    batches,
    decode,
    milliseconds,
    refuse_template,
    to_predictions,
)

# Decoding a picture of this size takes less time than a thread takes to be asked for it.
_SMALL_BYTES, _SMALL_PIXELS = 2**14, 2**15


class Predictor:
    """Classifies pictures for the routes that do.

    Args:
        settings: limits.
        engine: runs the networks.
        decoders: threads for pictures that are too large to be decoded on the event loop.
    """

    def __init__(self, settings: Settings, engine: Engine, decoders: Jobs) -> None:
        self._settings, self._engine, self._decoders = settings, engine, decoders
        self._small = settings.model_copy(update={"max_pixels": min(_SMALL_PIXELS, settings.max_pixels)})

    async def predict(self, model: LoadedModel, upload: Upload, options: PredictOptions) -> dict[str, Any]:
        """Classify pictures; a :class:`service.api.predict.PredictResponse` in plain values.

        Raises:
            ImageError, UnsupportedImageError, TooLargeError: a picture that cannot or may not be read.
            OptionError: a picture too small for the network, or a template, which is for activations.
            BusyError: too much is waiting.
            DeadlineError: it could not be done in time.
        """
        refuse_template(upload)
        deadline = self._engine.deadline(model)
        started = time.perf_counter()
        pictures = await self.decode(model, upload, options.resize, deadline)
        decoded = time.perf_counter()
        logits = await self.logits(model, pictures, deadline)
        inferred = time.perf_counter()
        timing = {"decode_ms": milliseconds(started, decoded), "inference_ms": milliseconds(decoded, inferred)}
        return to_predictions(model.card, pictures, logits, options.top_k, timing)

    async def decode(self, model: LoadedModel, upload: Upload, resize: str, deadline: float) -> NamedPictures:
        """Decode pictures: a small one here, others on a thread.

        Raises:
            ImageError, UnsupportedImageError, TooLargeError, OptionError: as :func:`service.tasks.predict.decode`.
            BusyError, DeadlineError: as :meth:`service.inference.thread_pool.Jobs.run`.
        """
        wanted, started = model.card.input, time.perf_counter()
        pictures: NamedPictures = []
        if sum(len(file.content) for file in upload.images) <= _SMALL_BYTES:
            with suppress(TooLargeError):  # a small file may be a large picture
                pictures = decode(upload.images, wanted, resize, self._small)
        if not pictures:
            pictures = await self._decoders.run(deadline, decode, upload.images, wanted, resize, self._settings)
        self._engine.decoded(model, time.perf_counter() - started)
        return pictures

    async def logits(self, model: LoadedModel, pictures: NamedPictures, deadline: float) -> dict[int, Array]:
        """Logits of pictures, by number; pictures of different sizes are run side by side."""
        groups = list(batches(pictures, self._settings.max_analysed_pixels))
        if len(groups) == 1:
            numbers, images = groups[0]
            return dict(zip(numbers, await self._engine.logits(model, images, deadline), strict=True))
        requests = [asyncio.ensure_future(self._engine.logits(model, images, deadline)) for _, images in groups]
        try:
            answers = await asyncio.gather(*requests)
        finally:
            for request in requests:  # where one was refused, nobody waits for the others
                request.cancel()
        return {
            number: row
            for (numbers, _), rows in zip(groups, answers, strict=True)
            for number, row in zip(numbers, rows, strict=True)
        }
