"""The data plane of the Open Inference Protocol: what its methods do, over HTTP and gRPC alike."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, ParamSpec, TypeVar

import numpy as np

from models.cards.card import ModelCard
from models.runtime.load import Array
from scs.errors import NoKeyError, ProtocolError, TooLargeError
from service.cluster.member import Member
from service.inference.batcher import Batcher
from service.inference.event_loop import SMALL_JSON_BYTES, SMALL_LIST
from service.observability.meter import ModelStatistics, merged
from service.oip import metadata
from service.oip.images import is_small, read_images
from service.oip.messages import InferRequest, InferResponse, OutputTensor, RequestedOutput
from service.oip.metadata import OUTPUT
from service.oip.triton_config import model_config
from service.oip.triton_statistics import model_statistics
from service.repository.loader import LoadedModel
from service.repository.reload import Reloading
from service.repository.table import VersionState
from service.settings import Settings
from service.shutdown import Stopping
from service.tasks.predict import Predictor
from service.tasks.ranking import check_classes
from service.workers.pools import Pool

MOST_ANSWERED = 2**20  # logits, or classes, of all images of a request

Given = ParamSpec("Given")
Result = TypeVar("Result")
Content = dict[str, Any]
Statistics = dict[tuple[str, int], ModelStatistics]


class DataPlane:
    """The methods of the inference protocol, which return its JSON content; coroutines run on the event loop.

    Every method that takes a name and a version raises UnknownNameError where there is no such model, and ModelError
    where it cannot be used. A version is a number, an alias, or None for the one that answers by default.

    Args:
        settings: limits.
        reloading: makes changes of the models.
        stopping: whether a graceful shutdown has begun.
        batcher: runs the networks.
        predictor: decodes pictures.
        readers: workers for requests that take long to be parsed.
        member: this process among several workers; alone unless given.
    """

    def __init__(
        self,
        settings: Settings,
        reloading: Reloading,
        stopping: Stopping,
        batcher: Batcher,
        predictor: Predictor,
        readers: Pool,
        member: Member | None = None,
    ) -> None:
        self._settings, self._reloading, self._models, self._stopping = settings, reloading, reloading.store, stopping
        self._batcher, self._predictor, self._readers = batcher, predictor, readers
        self._member = member
        if member is not None:
            member.handlers["statistics"] = self._own_statistics

    def server_ready(self) -> bool:
        """Return whether every required model can be used, in every worker, and no shutdown has begun."""
        others = self._member is None or self._member.board.all_loaded()
        return others and self._models.ready() and not self._stopping.begun

    def server_metadata(self) -> Content:
        """Return the server's name, its version and the extensions of the protocol that it has."""
        return metadata.server_metadata()

    def model(self, name: str, version: str | None) -> LoadedModel:
        """Return a model that can be used."""
        return self._models.get(name, version)

    def is_ready(self, name: str, version: str | None) -> bool:
        """Return whether a model can be used."""
        return self._models.is_ready(name, version)

    def model_metadata(self, name: str, version: str | None) -> Content:
        """Return a model's name, its versions that can be used, and its tensors."""
        model = self.model(name, version)
        return metadata.model_metadata(model.card, self._usable(model.card.name))

    def model_config(self, name: str, version: str | None) -> Content:
        """Return a model's configuration in Triton's form."""
        model = self.model(name, version)
        return model_config(model.card, model.runtime.device, self._settings)

    async def statistics(self, name: str | None, version: str | None) -> Content:
        """Return the statistics of a version since it was loaded; without a version or a name, of every usable one.

        They are those of all workers that there are.
        """
        if name is None:
            asked = self._usable(None)
        elif version is None:
            self.model(name, None)  # raises with the reason where it cannot be used
            asked = self._usable(name)
        else:
            asked = [self.model(name, version)]
        counted = await self._all_statistics()
        written = []
        for card in (model.card for model in asked):
            key = card.name, card.version
            written.append(model_statistics(card, merged([found[key] for found in counted if key in found])))
        return {"model_stats": written}

    async def _all_statistics(self) -> list[Statistics]:
        if self._member is None:
            return [await self._own_statistics()]
        return [outcome.result() for outcome in await self._member.ask_all("statistics")]

    async def _own_statistics(self) -> Statistics:
        usable = self._usable(None)
        return {(each.card.name, each.card.version): self._batcher.meter(each).statistics for each in usable}

    async def index(self, ready: bool) -> list[Content]:
        """List every version of every model, loaded or on disk, with its state; with ``ready``, only usable ones."""
        states = await asyncio.to_thread(self._models.index)
        return [_indexed(each) for each in states if each.model is not None or not ready]

    async def load(self, name: str, parameters: Iterable[str]) -> None:
        """Load a model, or what has changed of it.

        Raises:
            NoKeyError: the operator has set no key.
            ProtocolError: there are parameters: what lies on disk is loaded.
            ModelError: not all of it could be loaded.
        """
        self.check_changes_allowed()
        for given in parameters:
            raise ProtocolError(f"a model is loaded as it lies in the repository; the parameter {given[:60]!r} came")
        await self._reloading.change("load", name)

    async def unload(self, name: str) -> None:
        """Unload every version of a model; requests that have begun are answered.

        Raises:
            NoKeyError: the operator has set no key.
        """
        self.check_changes_allowed()
        await self._reloading.change("unload", name)

    def check_changes_allowed(self) -> None:
        """Refuse changes of the models unless an API key is set.

        Raises:
            NoKeyError: the operator has set no key.
        """
        if self._settings.api_key is None:
            raise NoKeyError("models are changed only by those who have a key; SCS_API_KEY is not set")

    def check_room(self, model: LoadedModel) -> None:
        """Shed load before a request's body is read, as :meth:`service.inference.batcher.Batcher.check_room`."""
        self._batcher.check_room(model)

    async def aside(
        self, model: LoadedModel, work: Callable[Given, Result], *args: Given.args, **options: Given.kwargs
    ) -> Result:
        """Run work in a worker that would block the event loop for long.

        Raises:
            BusyError: too much is waiting.
            DeadlineError: it could not be done in the time that a request for this model has.
        """
        return await self._readers.run(self._batcher.deadline(model), work, *args, **options)

    async def parse(self, work: Callable[[bytes], Result], sent: bytes) -> Result:
        """Parse a message, on a thread if it is not small.

        Raises:
            BusyError, DeadlineError: as :meth:`service.inference.thread_pool.ThreadPool.run`.
        """
        if len(sent) <= SMALL_JSON_BYTES:
            return work(sent)
        return await self._readers.run(time.monotonic() + self._settings.request_timeout_s, work, sent)

    async def infer(self, model: LoadedModel, asked: InferRequest) -> InferResponse:
        """Run a network on the images of a request.

        Raises:
            ProtocolError: it asks for an output that the network does not have, or more than once, or its input is not
                right.
            TooLargeError: the answer would have more numbers than ``MOST_ANSWERED``.
            ImageError, UnsupportedImageError, TooLargeError: as :func:`read_images`.
            OptionError: as that, or the network has no classes.
            BusyError: too much is waiting.
            DeadlineError: it could not be done in time.
            ModelError: the network could not be run.
        """
        check_classes(model.card)
        wanted = _wanted(asked)
        _check_answer(asked, model.card)
        own_s = math.inf if asked.timeout_us is None else asked.timeout_us / 1e6
        deadline = min(self._batcher.deadline(model), time.monotonic() + own_s)
        read = partial(read_images, asked.inputs, model.card.input)
        images = await self._predictor.decode(model, read, is_small(asked.inputs), deadline)
        parts = [await self._batcher.logits(model, each, deadline) for each in images]
        logits = parts[0] if len(parts) == 1 else np.concatenate(parts)
        if wanted.classification and logits.size > SMALL_LIST:
            output = await self._readers.run(deadline, _output, wanted, logits, model.card)
        else:
            output = _output(wanted, logits, model.card)
        return InferResponse(model.card.name, str(model.card.version), asked.id, [output])

    def _usable(self, name: str | None) -> list[LoadedModel]:
        """Every version that can be asked, of one model or of all."""
        return [each.model for each in self._models.states() if each.model is not None and name in (None, each.name)]


def _indexed(state: VersionState) -> Content:
    return {"name": state.name, "version": str(state.version), "state": state.state, "reason": state.reason or ""}


def _wanted(asked: InferRequest) -> RequestedOutput:
    """Return the one output that a request asks for."""
    if not asked.outputs:
        return RequestedOutput(OUTPUT, asked.binary)
    for output in asked.outputs:
        if output.name != OUTPUT:
            raise ProtocolError(f"the network has one output, {OUTPUT}; '{output.name[:60]}' was asked for")
    if len(asked.outputs) > 1:
        raise ProtocolError(f"an output is asked for once; {OUTPUT} was asked for {len(asked.outputs)} times")
    return asked.outputs[0]


def _check_answer(asked: InferRequest, card: ModelCard) -> None:
    """Refuse a request by the size of its answer, which its shape tells before anything is read."""
    rows = max((tensor.shape[0] for tensor in asked.inputs if tensor.shape), default=0)
    if rows * len(card.labels) > MOST_ANSWERED:
        raise TooLargeError(
            f"an answer may have {MOST_ANSWERED} numbers, {MOST_ANSWERED // len(card.labels)} images of "
            f"{len(card.labels)} classes; {rows} images came"
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
