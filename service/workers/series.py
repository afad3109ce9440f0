"""The time series of a pool of workers."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client import Counter, Gauge


@dataclass(frozen=True, slots=True)
class PoolSeries:
    """The time series of one pool of workers in Prometheus.

    Attributes:
        waiting: pieces of work that wait for a worker.
        rejected_full: pieces of work refused because as many waited as may.
        rejected_deadline: pieces of work given up because their time was over.
        cancelled: pieces of work whose client had gone before they were done.
    """

    waiting: Gauge
    rejected_full: Counter
    rejected_deadline: Counter
    cancelled: Counter
