"""Dynamic batching: requests that arrive while a network runs share its next batch."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from models.runtime.load import Array, Images
from scs.errors import BusyError, DeadlineError, ModelError, NotFiniteError
from service.inference.batch_queue import BatchLimits, BatchQueue, Waiting
from service.inference.event_loop import SHORT_RUN_S
from service.observability.meter import ModelMeter
from service.observability.metrics import Metrics
from service.repository.loader import LoadedModel
from service.repository.sent_model import SentModel
from service.repository.worker_model import run_logits
from service.settings import Settings
from service.workers.job import UnforeseenError
from service.workers.pools import Pool

_log = logging.getLogger(__name__)

# Of a batch of several pictures. More do not fit into caches, and their maps take memory that is handed back after the
# run: 32 pictures of 256x256 together took three times as long as four at a time.
_MOST_PIXELS = 2**18


class Batcher:
    """The queue and worker threads of every model; its methods are called on the event loop.

    Args:
        settings: limits, where a model's card has none of its own.
        metrics: told what waits, runs and is refused.
        workers: run what might take long, where it can be killed; unless given, everything runs in this process.
        processes: that share the limit of what waits; each has its part, but room for a batch at least.
    """

    def __init__(self, settings: Settings, metrics: Metrics, workers: Pool | None = None, processes: int = 1) -> None:
        self._settings, self._metrics, self._workers, self._processes = settings, metrics, workers, processes
        self._batchers: weakref.WeakKeyDictionary[LoadedModel, _ModelBatcher] = weakref.WeakKeyDictionary()
        self._asking = 0

    def deadline(self, model: LoadedModel) -> float:
        """Return when a request that arrives now is given up, on the clock of ``time.monotonic``."""
        return time.monotonic() + (model.card.serving.timeout_s or self._settings.request_timeout_s)

    def meter(self, model: LoadedModel) -> ModelMeter:
        """Return the meter that counts a model's requests and batches."""
        return self._of(model).meter

    def check_room(self, model: LoadedModel) -> None:
        """Shed load: refuse a request while the queue is full, before its body is read, when that costs least.

        Raises:
            BusyError: as many images wait as may.
        """
        self._of(model).check_room()

    async def logits(self, model: LoadedModel, images: Images, deadline: float = math.inf) -> Array:
        """Run a network on images, in batches with those of other requests (dynamic batching).

        More images than a batch may have are run one batch after the other. A request that is cancelled before its run
        takes its images with it.

        Args:
            model: which network; a request keeps the one that it began with.
            images: uint8 ``(n, H, W, C)``.
            deadline: on the clock of ``time.monotonic``.

        Returns:
            Logits ``(n, classes)``.

        Raises:
            BusyError: too many images wait.
            TooLargeError: a batch has more images than may ever wait.
            DeadlineError: the deadline has passed; where it passed before the run, there was none.
            ModelError: the network could not be run on these images.
            NotFiniteError: it gave logits that are not finite.
        """
        if self._workers is not None and _might_take_long(model, images):
            return await self._logits_of(self._workers, model, images, deadline)
        batcher = self._of(model)
        most = batcher.limits.rows_of(images.shape[1:])
        if len(images) > most:
            starts = range(0, len(images), most)
            return np.concatenate([await self.logits(model, images[i : i + most], deadline) for i in starts])
        self._asking += 1
        try:
            if batcher.would_be_short(images):
                await asyncio.sleep(0)  # requests that came at the same moment are counted now
                if self._asking == 1 and batcher.would_be_short(images) and time.monotonic() < deadline:
                    return batcher.run_here(images)
            return await batcher.run_in_batch(images, deadline)
        finally:
            self._asking -= 1

    async def _logits_of(self, workers: Pool, model: LoadedModel, images: Images, deadline: float) -> Array:
        """Run a network on images in a worker."""
        meter, started = self.meter(model), time.perf_counter()
        try:
            logits = await workers.run(deadline, run_logits, SentModel.of(model), images)
        except UnforeseenError as error:
            _log.exception("%s %d failed on images %s", model.card.name, model.card.version, images.shape)
            raise ModelError(f"{model.card.name} {model.card.version} could not be run on this image") from error
        seconds = time.perf_counter() - started
        answer = _finite_or_error(logits, f"{model.card.name} {model.card.version}")
        meter.answered(seconds, isinstance(answer, ModelError))
        meter.ran(seconds, len(images), 1)
        if isinstance(answer, ModelError):
            raise answer
        return answer

    def _of(self, model: LoadedModel) -> _ModelBatcher:
        batcher = self._batchers.get(model)
        if batcher is None:
            series = self._metrics.model(model.card.name, model.card.version)
            batcher = self._batchers[model] = _ModelBatcher(model, self._limits(model), ModelMeter(series))
        return batcher

    def _limits(self, model: LoadedModel) -> BatchLimits:
        own, settings = model.card.serving, self._settings
        delay_us = settings.max_queue_delay_us if own.max_queue_delay_us is None else own.max_queue_delay_us
        rows = own.max_batch_size or settings.max_batch_size
        waiting = own.max_queue or settings.max_queue
        return BatchLimits(
            rows=rows,
            pixels=min(_MOST_PIXELS, settings.max_analysed_pixels),
            delay_s=delay_us / 1e6,
            waiting=min(waiting, max(rows, math.ceil(waiting / self._processes))),
        )


def _might_take_long(model: LoadedModel, images: Images) -> bool:
    """Return whether a run has no bound that is known beforehand, or a large one."""
    is_large = images[0, ..., 0].size > _MOST_PIXELS and model.runtime.device == "cpu"
    return is_large or not model.is_bounded


class _ModelBatcher:
    """The queue and worker threads of one model.

    The queue is filled on the event loop and emptied by worker threads. It does not keep the model alive: requests do,
    so that a model that was replaced is gone with the last of them, and its threads with it.
    """

    def __init__(self, model: LoadedModel, limits: BatchLimits, meter: ModelMeter) -> None:
        self.limits, self.meter = limits, meter
        self._model = weakref.ref(model)
        self._name = f"{model.card.name} {model.card.version}"
        self._lock = threading.Lock()  # guards the queue and the number of workers
        self._changed = threading.Condition(self._lock)
        self._queue = BatchQueue(limits)
        self._workers, self._most_workers = 0, model.runtime.concurrent_runs
        self._threads = ThreadPoolExecutor(self._most_workers, thread_name_prefix=f"inference of {self._name}")
        self._seconds_a_pixel = math.inf  # until the first run has shown it

    def check_room(self) -> None:
        try:
            self._queue.check_room(1)
        except BusyError:
            self.meter.rejected_full()
            raise

    def would_be_short(self, images: Images) -> bool:
        """Return whether the network is idle and a run on these images would be short."""
        idle = not self._workers and not self._queue and not self.limits.delay_s
        return idle and images[..., 0].size * self._seconds_a_pixel < SHORT_RUN_S

    def run_here(self, images: Images) -> Array:
        """Run images at once, on the caller's thread."""
        alone = Waiting(images, asyncio.get_running_loop().create_future(), time.perf_counter())
        self._deliver([alone], self._run([alone]))
        alone.trace()
        return alone.answer.result()

    async def run_in_batch(self, images: Images, deadline: float) -> Array:
        """Add images to the queue, and wait for the logits of their batch."""
        loop = asyncio.get_running_loop()
        item = Waiting(images, loop.create_future(), time.perf_counter())
        expiry = None if deadline == math.inf else loop.call_later(deadline - time.monotonic(), self._expire, item)
        try:
            self._put(item)
            answer = await item.answer
            item.trace()
            return answer
        except BusyError:
            self.meter.rejected_full()
            raise
        except asyncio.CancelledError:
            if self._drop(item):
                self.meter.cancelled(time.perf_counter() - item.arrived)
            raise
        finally:
            if expiry is not None:
                expiry.cancel()

    def _put(self, item: Waiting) -> None:
        with self._lock:
            self._queue.put(item)
            self.meter.waiting(self._queue.rows)
            busy = self._workers and self._waiting_s(item) <= SHORT_RUN_S
            if self._workers < self._most_workers and not busy:
                self._workers += 1
                self._threads.submit(self._work)
            if self.limits.delay_s and self._queue.full_batch():
                self._changed.notify()

    def _waiting_s(self, item: Waiting) -> float:
        """Estimate the seconds that one worker takes for all that waits, if all images are like these."""
        return self._queue.rows * item.images[0, ..., 0].size * self._seconds_a_pixel

    def _drop(self, item: Waiting) -> bool:
        with self._lock:
            waited = self._queue.drop(item)
            self.meter.waiting(self._queue.rows)
        return waited

    def _expire(self, item: Waiting) -> None:
        if item.answer.done():
            return
        done = "not begun" if self._drop(item) else "not ready"
        item.answer.set_exception(DeadlineError(f"the time for this request is over, and it was {done}"))
        self.meter.rejected_late(time.perf_counter() - item.arrived)

    def _work(self) -> None:
        """Run batches, on a worker thread, until nothing waits."""
        while batch := self._next_batch():
            outcome = self._run(batch)
            with suppress(RuntimeError):  # the event loop was closed, so nobody waits
                batch[0].answer.get_loop().call_soon_threadsafe(self._deliver, batch, outcome)
            del batch, outcome  # images are not held while nothing is to be done

    def _next_batch(self) -> list[Waiting]:
        with self._lock:
            if self.limits.delay_s:
                self._wait_for_a_full_batch()
            # What waits is shared among the workers, so that one does not leave another without work.
            batch = self._queue.take(math.ceil(self._queue.rows / self._workers))
            self.meter.waiting(self._queue.rows)
            if not batch:
                self._workers -= 1
        return batch

    def _wait_for_a_full_batch(self) -> None:
        """Wait until a batch is full, but no longer than the oldest images may wait."""

        def is_over() -> bool:
            return not self._queue or self._queue.full_batch()

        if not is_over():
            self._changed.wait_for(is_over, self._queue.oldest() + self.limits.delay_s - time.perf_counter())

    def _run(self, batch: list[Waiting]) -> _Outcome:
        started = time.perf_counter()
        try:
            images = batch[0].images if len(batch) == 1 else np.concatenate([item.images for item in batch])
            logits = self._logits(images)
        except Exception as error:  # each runtime raises classes of its own
            if len(batch) > 1:  # one of them may have failed it for the others
                parts = [self._run([item]) for item in batch]
                return _Outcome(started, time.perf_counter(), [answer for part in parts for answer in part.answers])
            _log.exception("%s failed on images %s", self._name, batch[0].images.shape)
            failure = ModelError(f"{self._name} could not be run on this image")
            failure.__cause__ = error
            return _Outcome(started, time.perf_counter(), [failure])
        ended = time.perf_counter()
        self._seconds_a_pixel = (ended - started) / images[..., 0].size
        return _Outcome(started, ended, [_finite_or_error(part, self._name) for part in _parts(logits, batch)])

    def _logits(self, images: Images) -> Array:
        model = self._model()
        if model is None:
            raise ModelError(f"{self._name} is gone")
        return model.runtime.logits(images)

    def _deliver(self, batch: list[Waiting], outcome: _Outcome) -> None:
        for item, answer in zip(batch, outcome.answers, strict=True):
            item.started, item.ended = outcome.started, outcome.ended
            self.meter.waited(outcome.started - item.arrived)
            if item.answer.done():  # given up in the meantime, and counted as that
                continue
            failed = isinstance(answer, ModelError)
            self.meter.answered(outcome.ended - item.arrived, failed)
            if isinstance(answer, ModelError):
                item.answer.set_exception(answer)
            else:
                item.answer.set_result(answer)
        self.meter.ran(outcome.ended - outcome.started, sum(len(item.images) for item in batch), len(batch))


@dataclass(frozen=True, eq=False, slots=True)
class _Outcome:
    """The result of a batch: its start and end on the clock of ``time.perf_counter``, and an answer a request."""

    started: float
    ended: float
    answers: Sequence[Array | ModelError]


def _finite_or_error(logits: Array, name: str) -> Array | NotFiniteError:
    """Return logits as they are, or what says that they are not finite: no answer can be made of them."""
    if np.isfinite(logits).all():
        return logits
    _log.error("%s gave logits that are not finite", name)
    return NotFiniteError(f"{name} gave logits that are not finite (NaN or infinite) for this image")


def _parts(logits: Array, batch: list[Waiting]) -> Iterator[Array]:
    start = 0
    for item in batch:
        end = start + len(item.images)
        yield logits[start:end]
        start = end
