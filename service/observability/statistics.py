"""What a model has done since it was loaded: counts and durations."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field


@dataclass
class Duration:
    """How often something happened, and how many nanoseconds it took in all."""

    count: int = 0
    ns: int = 0

    def add(self, seconds: float, count: int = 1) -> None:
        """Count something that took so long each time."""
        self.count += count
        self.ns += int(seconds * 1e9) * count


@dataclass
class ModelStatistics:
    """Counts of one version of a model.

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
    batches: dict[int, Duration] = field(default_factory=lambda: defaultdict(Duration))
