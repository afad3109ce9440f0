"""The counters of a model, kept for Prometheus and, since it was loaded, for Triton's statistics."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from service.observability.metrics import ModelSeries


@dataclass
class Duration:
    """A count of events, and their total duration in nanoseconds."""

    count: int = 0
    ns: int = 0

    def add(self, seconds: float, count: int = 1) -> None:
        """Add ``count`` events that took ``seconds`` each."""
        self.count += count
        self.ns += int(seconds * 1e9) * count

    def merge(self, other: Duration) -> None:
        """Add the events of another."""
        self.count += other.count
        self.ns += other.ns


def _no_batches() -> defaultdict[int, Duration]:
    return defaultdict(Duration)


@dataclass
class ModelStatistics:
    """Counts of one version of a model, since it was loaded.

    Attributes:
        success: requests answered, from their arrival at the queue to their answer.
        fail: requests whose run failed.
        queue: waits for a batch.
        decode: decodings of a request's pictures.
        inference: runs that requests took part in.
        rejected: requests refused because the queue was full, or given up at their deadline.
        cancelled: requests whose client had gone before their work began.
        inference_count: images that were run.
        execution_count: batches that were run.
        last_inference_ms: when the last batch ended, in milliseconds since 1970.
        batches: for each number of images in a batch, how many such batches.
    """

    success: Duration = field(default_factory=Duration)
    fail: Duration = field(default_factory=Duration)
    queue: Duration = field(default_factory=Duration)
    decode: Duration = field(default_factory=Duration)
    inference: Duration = field(default_factory=Duration)
    rejected: Duration = field(default_factory=Duration)
    cancelled: Duration = field(default_factory=Duration)
    inference_count: int = 0
    execution_count: int = 0
    last_inference_ms: int = 0
    batches: dict[int, Duration] = field(default_factory=_no_batches)


def merged(parts: Sequence[ModelStatistics]) -> ModelStatistics:
    """Return the sums of what several workers have counted of one version."""
    if len(parts) == 1:
        return parts[0]
    total = ModelStatistics()
    for part in parts:
        for name in ("success", "fail", "queue", "decode", "inference", "rejected", "cancelled"):
            getattr(total, name).merge(getattr(part, name))
        total.inference_count += part.inference_count
        total.execution_count += part.execution_count
        total.last_inference_ms = max(total.last_inference_ms, part.last_inference_ms)
        for rows, duration in part.batches.items():
            total.batches[rows].merge(duration)
    return total


class ModelMeter:
    """The counter of one loaded model's requests and batches; durations are in seconds.

    Args:
        series: of the model's name and version; they outlive it, so that a reload does not set them back.

    Attributes:
        statistics: the same events, since this model was loaded.
    """

    def __init__(self, series: ModelSeries) -> None:
        self.statistics = ModelStatistics()
        self._series = series
        self._waiting = 0

    def waiting(self, rows: int) -> None:
        """Note how many images wait for a batch now."""
        self._series.waiting_rows.inc(rows - self._waiting)  # others may count here, too
        self._waiting = rows

    def decoded(self, seconds: float) -> None:
        """Count the decoding of a request's pictures."""
        self.statistics.decode.add(seconds)
        self._series.decode_seconds.observe(seconds)

    def waited(self, seconds: float) -> None:
        """Count a request's wait for its batch."""
        self.statistics.queue.add(seconds)
        self._series.queue_seconds.observe(seconds)

    def ran(self, seconds: float, rows: int, requests: int) -> None:
        """Count the run of a batch of ``rows`` images from ``requests`` requests."""
        done = self.statistics
        done.inference.add(seconds, requests)
        done.inference_count += rows
        done.execution_count += 1
        done.last_inference_ms = int(time.time() * 1000)
        done.batches[rows].add(seconds)
        self._series.inference_seconds.observe(seconds)
        self._series.batch_rows.observe(rows)

    def answered(self, seconds: float, failed: bool) -> None:
        """Count a request that was answered or whose run failed, and the seconds since it arrived."""
        (self.statistics.fail if failed else self.statistics.success).add(seconds)

    def rejected_full(self) -> None:
        """Count a request that was refused because the queue was full."""
        self.statistics.rejected.add(0.0)
        self._series.rejected_full.inc()

    def rejected_late(self, seconds: float) -> None:
        """Count a request that was given up at its deadline."""
        self.statistics.rejected.add(seconds)
        self._series.rejected_deadline.inc()

    def cancelled(self, seconds: float) -> None:
        """Count a request whose client disconnected before its work began."""
        self.statistics.cancelled.add(seconds)
        self._series.cancelled.inc()
