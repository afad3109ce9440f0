"""Runs networks for many requests at once: what arrives while a batch runs is the next batch."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue

import numpy as np

from models.runtime.load import Array, Images
from scs.errors import BusyError, DeadlineError, ModelError
from service.inference.batch_queue import BatchLimits, BatchQueue, Waiting
from service.observability.metrics import Metrics
from service.observability.statistics import ModelStatistics
from service.observability.tracing import stage
from service.repository.loader import LoadedModel
from service.settings import Settings

_log = logging.getLogger(__name__)

# Handing a run to a thread and back costs a tenth of a millisecond. A request that is alone is run where it is, as long
# as that keeps the event loop from others for no longer than this.
_SHORT_RUN_S = 0.001
# Of a batch of several pictures. More do not fit into caches, and their maps take memory that is handed back after the
# run: 32 pictures of 256x256 together took three times as long as four at a time.
_MOST_PIXELS = 2**18
_IDLE_S = 30.0  # after which a model's thread ends


class Engine:
    """Every model's queue and threads. Its methods are called on the event loop.

    Args:
        settings: limits, where a model's card has none of its own.
        metrics: told what waits, runs and is refused.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings, self._metrics = settings, metrics
        self._runners: weakref.WeakKeyDictionary[LoadedModel, _Runner] = weakref.WeakKeyDictionary()
        self._asking = 0

    def deadline(self, model: LoadedModel) -> float:
        """When a request for a model that came now is given up, on the clock of ``time.monotonic``."""
        return time.monotonic() + (model.card.serving.timeout_s or self._settings.request_timeout_s)

    def statistics(self, model: LoadedModel) -> ModelStatistics:
        """What a model has done since it was loaded."""
        return self._runner(model).statistics

    def check_room(self, model: LoadedModel) -> None:
        """Refuse a request while as many images are waiting as may; before it is read, that costs least.

        Raises:
            BusyError: they are.
        """
        self._runner(model).check_room()

    def decoded(self, model: LoadedModel, seconds: float) -> None:
        """Note how long a request's pictures took to be decoded."""
        now = time.perf_counter()
        stage("decode", now - seconds, now)
        runner = self._runner(model)
        runner.statistics.decode.add(seconds)
        runner.metrics.decode_seconds.observe(seconds)

    async def logits(self, model: LoadedModel, images: Images, deadline: float) -> Array:
        """Logits ``(n, classes)`` of images ``(n, H, W, C)``, run together with those of other requests.

        A request that is cancelled before its run takes its images with it.

        Args:
            model: which network; a request keeps the one that it began with.
            images: uint8, of one size.
            deadline: on the clock of ``time.monotonic``.

        Raises:
            BusyError: too many images are waiting.
            TooLargeError: more images came at once than may ever wait.
            DeadlineError: the deadline has passed; where it passed before the run, there was none.
            ModelError: the network could not be run on these images.
        """
        runner = self._runner(model)
        self._asking += 1
        try:
            if runner.would_be_short(images):
                await asyncio.sleep(0)  # requests that came at the same moment are counted now
                if self._asking == 1 and runner.would_be_short(images) and time.monotonic() < deadline:
                    return runner.run_here(images)
            return await runner.run_in_batch(images, deadline)
        finally:
            self._asking -= 1

    def _runner(self, model: LoadedModel) -> _Runner:
        runner = self._runners.get(model)
        if runner is None:
            runner = self._runners[model] = _Runner(model, self._limits(model), self._metrics)
        return runner

    def _limits(self, model: LoadedModel) -> BatchLimits:
        own, settings = model.card.serving, self._settings
        delay_us = settings.max_queue_delay_us if own.max_queue_delay_us is None else own.max_queue_delay_us
        return BatchLimits(
            rows=own.max_batch_size or settings.max_batch_size,
            pixels=_MOST_PIXELS,
            delay_s=delay_us / 1e6,
            waiting=own.max_queue or settings.max_queue,
        )


class _Runner:
    """Runs the batches of one model.

    Its queue is filled on the event loop and emptied by threads, which end after a while without work. It does not keep
    the model alive: requests do, so that a model which was replaced is gone with the last of them.
    """

    def __init__(self, model: LoadedModel, limits: BatchLimits, metrics: Metrics) -> None:
        self.statistics = ModelStatistics()
        self.metrics = metrics.of(model.card.name, model.card.version)
        self._model = weakref.ref(model)
        self._name = f"{model.card.name} {model.card.version}"
        self._queue = BatchQueue(limits)
        self._lock = threading.Lock()  # of the queue and the two numbers below
        self._most_threads = model.runtime.concurrent_runs
        self._threads = self._awake = 0  # who was called is awake
        self._calls: SimpleQueue[None] = SimpleQueue()  # one wakes one thread
        self._full = threading.Event()  # a whole batch waits, for those who gather one
        self._retired = False
        weakref.finalize(model, self._retire)
        self._seconds_a_pixel = float("inf")  # until the first run has shown it

    def check_room(self) -> None:
        try:
            self._queue.check_room(1)
        except BusyError:
            self._count_refusal()
            raise

    def _count_refusal(self) -> None:
        self.statistics.rejected.add(0.0)
        self.metrics.rejected_full.inc()

    def would_be_short(self, images: Images) -> bool:
        """Whether nothing is to be done but these images, and that is quick."""
        idle = not self._awake and not self._queue and not self._queue.limits.delay_s
        return idle and images[..., 0].size * self._seconds_a_pixel < _SHORT_RUN_S

    def run_here(self, images: Images) -> Array:
        """Run images at once, on the caller's thread."""
        alone = Waiting(images, asyncio.get_running_loop().create_future(), time.perf_counter())
        self._deliver([alone], self._run([alone]))
        alone.trace()
        return alone.answer.result()

    async def run_in_batch(self, images: Images, deadline: float) -> Array:
        """Let images wait for the next batch."""
        loop = asyncio.get_running_loop()
        item = Waiting(images, loop.create_future(), time.perf_counter())
        expiry = loop.call_later(deadline - time.monotonic(), self._expire, item)
        try:
            self._put(item)
            answer = await item.answer
            item.trace()
            return answer
        except BusyError:
            self._count_refusal()
            raise
        except asyncio.CancelledError:
            if self._drop(item):
                self.statistics.cancelled.add(time.perf_counter() - item.arrived)
                self.metrics.cancelled.inc()
            raise
        finally:
            expiry.cancel()

    def _put(self, item: Waiting) -> None:
        with self._lock:
            self._queue.put(item)
            self.metrics.waiting_rows.set(self._queue.rows)
            if not self._awake or (self._awake < self._most_threads and self._waiting_s(item) > _SHORT_RUN_S):
                self._wake_one()
            if self._queue.limits.delay_s and self._queue.full_batch():
                self._full.set()

    def _waiting_s(self, item: Waiting) -> float:
        """Seconds that a thread would take for what waits, if all of it is like this."""
        return self._queue.rows * item.images[0, ..., 0].size * self._seconds_a_pixel

    def _wake_one(self) -> None:
        self._awake += 1
        if self._awake <= self._threads:
            self._calls.put(None)
        else:
            self._threads += 1
            threading.Thread(target=self._work, name=f"inference of {self._name}", daemon=True).start()

    def _drop(self, item: Waiting) -> bool:
        with self._lock:
            waited = self._queue.drop(item)
            self.metrics.waiting_rows.set(self._queue.rows)
        return waited

    def _expire(self, item: Waiting) -> None:
        if item.answer.done():
            return
        done = "not begun" if self._drop(item) else "not ready"
        item.answer.set_exception(DeadlineError(f"the time for this request is over, and it was {done}"))
        self.statistics.rejected.add(time.perf_counter() - item.arrived)
        self.metrics.rejected_deadline.inc()

    def _work(self) -> None:
        while True:
            while batch := self._next_batch():
                outcome = self._run(batch)
                with suppress(RuntimeError):  # the loop was closed, so nobody waits
                    batch[0].answer.get_loop().call_soon_threadsafe(self._deliver, batch, outcome)
                del batch, outcome  # images and their model are not held while nothing is to be done
            if not self._sleep():
                return

    def _next_batch(self) -> list[Waiting]:
        """The next batch; where there is none the thread counts as asleep."""
        if self._queue.limits.delay_s:
            self._gather()
        with self._lock:
            # What waits is shared among the threads that are awake, so that one does not leave another without work.
            batch = self._queue.take(-(-self._queue.rows // self._awake))
            self.metrics.waiting_rows.set(self._queue.rows)
            if not batch:
                self._awake -= 1
        return batch

    def _sleep(self) -> bool:
        """Wait until there is work; False where there was none for a while, or never will be, which ends the thread."""
        try:
            self._calls.get(timeout=_IDLE_S)
        except Empty:
            with self._lock:
                if self._awake < self._threads:  # not called just now
                    self._threads -= 1
                    return False
            self._calls.get()
        return not self._retired

    def _retire(self) -> None:
        """Let the threads end: nobody has the model any more. Takes no lock, since this may come at any moment."""
        self._retired = True
        for _ in range(self._threads):
            self._calls.put(None)

    def _gather(self) -> None:
        """Wait for a whole batch, as long as the first of it may be made to wait."""
        with self._lock:
            self._full.clear()
            ready = not self._queue or self._queue.full_batch()
            left_s = 0.0 if ready else self._queue.oldest() + self._queue.limits.delay_s - time.perf_counter()
        if left_s > 0:
            self._full.wait(left_s)

    def _run(self, batch: list[Waiting]) -> _Outcome:
        started = time.perf_counter()
        try:
            images = batch[0].images if len(batch) == 1 else np.concatenate([item.images for item in batch])
            logits = self._logits(images)
        except Exception as error:  # each runtime raises classes of its own
            if len(batch) > 1:  # one of them may have spoilt it for the others
                parts = [self._run([item]) for item in batch]
                return _Outcome(started, time.perf_counter(), [answer for part in parts for answer in part.answers])
            _log.exception("%s failed on images %s", self._name, batch[0].images.shape)
            failure = ModelError(f"{self._name} could not be run on this image")
            failure.__cause__ = error
            return _Outcome(started, time.perf_counter(), [failure])
        ended = time.perf_counter()
        self._seconds_a_pixel = (ended - started) / images[..., 0].size
        return _Outcome(started, ended, list(_parts(logits, batch)))

    def _logits(self, images: Images) -> Array:
        model = self._model()
        if model is None:
            raise ModelError(f"{self._name} is gone")
        rows = self._queue.limits.rows_of(images.shape[1:])
        if len(images) <= rows:
            return model.runtime.logits(images)
        parts = [model.runtime.logits(images[i : i + rows]) for i in range(0, len(images), rows)]
        return np.concatenate(parts)

    def _deliver(self, batch: list[Waiting], outcome: _Outcome) -> None:
        seconds = outcome.ended - outcome.started
        rows = sum(len(item.images) for item in batch)
        for item, answer in zip(batch, outcome.answers, strict=True):
            waited = outcome.started - item.arrived
            item.started, item.ended = outcome.started, outcome.ended
            self.statistics.queue.add(waited)
            self.metrics.queue_seconds.observe(waited)
            if item.answer.done():  # given up in the meantime, and counted as that
                continue
            if isinstance(answer, ModelError):
                self.statistics.fail.add(outcome.ended - item.arrived)
                item.answer.set_exception(answer)
            else:
                self.statistics.success.add(outcome.ended - item.arrived)
                item.answer.set_result(answer)
        self.statistics.inference.add(seconds, len(batch))
        self.statistics.inference_count += rows
        self.statistics.execution_count += 1
        self.statistics.last_inference_ms = int(time.time() * 1000)
        self.statistics.batches[rows].add(seconds)
        self.metrics.inference_seconds.observe(seconds)
        self.metrics.batch_rows.observe(rows)


@dataclass(frozen=True, eq=False, slots=True)
class _Outcome:
    """What became of a batch, from when to when on the clock of ``time.perf_counter``; an answer each."""

    started: float
    ended: float
    answers: Sequence[Array | ModelError]


def _parts(logits: Array, batch: list[Waiting]) -> Iterator[Array]:
    start = 0
    for item in batch:
        end = start + len(item.images)
        yield logits[start:end]
        start = end
