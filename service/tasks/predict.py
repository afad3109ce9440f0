"""The task of ``/predict``: decode pictures, run them in batches, rank the classes."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import Any, TypeVar

import numpy as np

from models.cards.card import ModelCard
from models.runtime.load import Array, Images
from scs.errors import OptionError, TooLargeError
from service.api.files import Upload
from service.api.predict import PredictOptions
from service.inference.batcher import Batcher
from service.inference.event_loop import SMALL_FILE_BYTES, SMALL_FILES, SMALL_LIST, SMALL_PIXELS
from service.observability.tracing import stage
from service.pictures.formats import is_light
from service.repository.loader import LoadedModel
from service.settings import Settings
from service.tasks.decoding import NamedPictures, Unread, decode, decode_readable
from service.tasks.ranking import check_classes, rank
from service.tasks.timing import milliseconds
from service.workers.pools import Pool

Read = TypeVar("Read")


class Predictor:
    """The classifier of pictures for HTTP, gRPC and the command line; its methods are called on an event loop.

    Args:
        settings: limits.
        batcher: runs the networks.
        decoders: workers, or threads, for what is too large to be decoded on the event loop.
    """

    def __init__(self, settings: Settings, batcher: Batcher, decoders: Pool) -> None:
        self._settings, self._batcher, self._decoders = settings, batcher, decoders
        self._small = settings.model_copy(update={"max_pixels": min(SMALL_PIXELS, settings.max_pixels)})

    async def predict(
        self, model: LoadedModel, upload: Upload, options: PredictOptions, deadline: float = math.inf
    ) -> dict[str, Any]:
        """Classify pictures.

        Returns:
            A :class:`service.api.predict.PredictResponse` in plain values.

        Raises:
            ImageError, UnsupportedImageError, TooLargeError: a picture that cannot or may not be read, unless the
                others are to be answered.
            OptionError: a picture too small for the network, a template, which is for activations, or a network without
                classes.
            BusyError: too much is waiting.
            DeadlineError: it could not be done in time.
        """
        if upload.template is not None:
            raise OptionError("a template is looked for by /activations; /predict takes pictures only")
        check_classes(model.card)
        started = time.perf_counter()
        size = sum(len(file.content) for file in upload.images)
        is_small = len(upload.images) <= SMALL_FILES and size <= SMALL_FILE_BYTES
        is_small = is_small and all(file.is_npy or is_light(file.content) for file in upload.images)

        unread: list[Unread] = []
        if options.partial:  # never on the event loop, whose own limit would make a failure of what is larger
            read_some = partial(decode_readable, upload.images, model.card.input, options.resize)
            pictures, unread = await self.decode(model, read_some, False, deadline)
        else:
            read = partial(decode, upload.images, model.card.input, options.resize)
            pictures = await self.decode(model, read, is_small, deadline)
        decoded = time.perf_counter()
        logits: dict[int, Array] = {}
        for numbers, images in same_size(pictures):
            logits.update(zip(numbers, await self._batcher.logits(model, images, deadline), strict=True))
        inferred = time.perf_counter()
        timing = {"decode_ms": milliseconds(started, decoded), "inference_ms": milliseconds(decoded, inferred)}
        if len(pictures) * len(model.card.labels) <= SMALL_LIST:
            answer = to_predictions(model.card, pictures, logits, options.top_k, timing)
        else:
            ranking = model.card, pictures, logits, options.top_k, timing
            answer = await self._decoders.run(deadline, to_predictions, *ranking)
        return {**answer, "failures": [asdict(each) for each in unread]} if options.partial else answer

    async def decode(
        self, model: LoadedModel, read: Callable[[Settings], Read], is_small: bool, deadline: float
    ) -> Read:
        """Decode a request's pictures: what is small on the event loop, the rest elsewhere.

        Args:
            model: whose request it is.
            read: decodes them within the limits that it is given; a worker finds it by its name.
            is_small: whether the event loop may try, as :mod:`service.inference.event_loop` says.
            deadline: on the clock of ``time.monotonic``.

        Raises:
            BusyError, DeadlineError: as :meth:`service.workers.pool.WorkerPool.run`.
        """
        started = time.perf_counter()
        pictures: Read | None = None
        if is_small:
            with suppress(TooLargeError):  # a small file may be a large picture
                pictures = read(self._small)
        if pictures is None:
            pictures = await self._decoders.run(deadline, read, self._settings)
        ended = time.perf_counter()
        stage("decode", started, ended)
        self._batcher.meter(model).decoded(ended - started)
        return pictures


def to_predictions(
    card: ModelCard, pictures: NamedPictures, logits: Mapping[int, Array], top_k: int, timing: dict[str, float]
) -> dict[str, Any]:
    """Make a :class:`service.api.predict.PredictResponse`, in plain values, from pictures and their logits.

    Validation by pydantic is skipped: the values are this service's own, and checking takes as long as encoding.
    """
    predictions = [
        {"name": name, "width": picture.width, "height": picture.height, "classes": rank(logits[number], card, top_k)}
        for number, (name, picture) in enumerate(pictures)
    ]
    return {"model": card.name, "version": card.version, "predictions": predictions, "timing": timing}


def same_size(pictures: NamedPictures) -> Iterator[tuple[list[int], Images]]:
    """Group pictures by size; yield their numbers, and their pixels ``(n, H, W, C)``."""
    if len(pictures) == 1:
        yield [0], pictures[0][1].pixels[None]
        return
    by_shape: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for number, (_, picture) in enumerate(pictures):
        by_shape[picture.pixels.shape].append(number)
    for numbers in by_shape.values():
        yield numbers, np.stack([pictures[number][1].pixels for number in numbers])
