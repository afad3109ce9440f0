"""The metrics for Prometheus: counts, durations, batch sizes, queues, and which models can be used."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from service.cluster.member import Member
from service.observability.all_workers import OfAllWorkers, ProcessesOfWorkers, share_values
from service.repository.repository import ModelRepository
from service.workers.series import PoolSeries

# From a small picture's decoding to a request at its deadline.
_SECONDS = (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0, 30.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 256)
# With series of their own: with more, a scrape of a hundred versions would have most of a megabyte. The rest share one.
_MOST_VERSIONS, _MOST_ROUTES = 10, 16
_OTHER = "other"
_MODEL = ("model", "version")
_SUMMED: Any = {"multiprocess_mode": "livesum"}  # where there are several workers
_VERSIONS = ("0.0.1", "0.0.4", "1.0.0")  # of the text formats

# The time of creation would be one more series for each, which hardly anything reads.
disable_created_metrics()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class ModelSeries:
    """The time series of one version of a model in Prometheus; durations are in seconds.

    Attributes:
        queue_seconds: from a request's rows being queued to their run.
        decode_seconds: of a request's pictures.
        inference_seconds: of a batch.
        batch_rows: pictures in a batch.
        waiting_rows: pictures that wait for a batch.
        rejected_full: requests refused because the queue was full.
        rejected_deadline: requests given up because their time was over.
        cancelled: requests whose client had gone before their work began.
    """

    queue_seconds: Histogram
    decode_seconds: Histogram
    inference_seconds: Histogram
    batch_rows: Histogram
    waiting_rows: Gauge
    rejected_full: Counter
    rejected_deadline: Counter
    cancelled: Counter


class Metrics:
    """All Prometheus metrics of one application, in a registry of their own.

    The first ten versions that are used have series of their own, and the first sixteen pairs of route and model. Later
    ones are counted together as ``other``, until one of the first is unloaded.

    Args:
        member: this process among several workers, of which the metrics are the sums; alone unless given.
    """

    def __init__(self, member: Member | None = None) -> None:
        self._member = member
        if member is not None:
            share_values(member)
        registry = self._registry = CollectorRegistry()
        self._requests = Counter(
            "scs_requests_total", "Requests answered.", ("route", "model", "status"), registry=registry
        )
        self._request_seconds = Histogram(
            "scs_request_seconds",
            "From a request's headers to the end of its answer.",
            ("route", "model"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._in_flight = 0  # touched by the event loop alone, so a number serves; read when it is asked for
        self._queue = Histogram(
            "scs_queue_seconds", "A request's wait for its batch.", _MODEL, buckets=_SECONDS, registry=registry
        )
        self._decode = Histogram(
            "scs_decode_seconds", "Decoding of a request's pictures.", _MODEL, buckets=_SECONDS, registry=registry
        )
        self._inference = Histogram(
            "scs_inference_seconds", "One run of a batch.", _MODEL, buckets=_SECONDS, registry=registry
        )
        self._batch = Histogram("scs_batch_rows", "Pictures in a batch.", _MODEL, buckets=_ROWS, registry=registry)
        self._waiting = Gauge(
            "scs_waiting_rows", "Pictures that wait for a batch.", _MODEL, registry=registry, **_SUMMED
        )
        self._rejected = Counter(
            "scs_rejected_requests_total", "Requests refused, by reason.", (*_MODEL, "reason"), registry=registry
        )
        self._cancelled = Counter(
            "scs_cancelled_requests_total",
            "Requests whose client had gone before their work began.",
            _MODEL,
            registry=registry,
        )
        self._jobs_waiting = Gauge(
            "scs_waiting_jobs", "Work that waits for a worker.", ("kind",), registry=registry, **_SUMMED
        )
        self._jobs_rejected = Counter(
            "scs_rejected_jobs_total", "Work refused, by reason.", ("kind", "reason"), registry=registry
        )
        self._jobs_cancelled = Counter(
            "scs_cancelled_jobs_total", "Work whose client had gone before it was done.", ("kind",), registry=registry
        )
        self._shown = CollectorRegistry() if member is not None else registry
        self._shown.register(_InFlight(lambda: self._in_flight if member is None else member.board.in_flight()))
        PlatformCollector(registry=self._shown)
        if member is None:
            ProcessCollector(registry=registry)
            GCCollector(registry=registry)
        else:
            self._shown.register(ProcessesOfWorkers(member))
        self._of: dict[tuple[str, int], ModelSeries] = {}
        self._of_others: ModelSeries | None = None
        self._routes: dict[tuple[str, str], Histogram] = {}
        self._answers: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    @property
    def in_flight(self) -> int:
        """Requests that this process is answering."""
        return self._in_flight

    @in_flight.setter
    def in_flight(self, count: int) -> None:
        self._in_flight = count
        if self._member is not None:
            self._member.board.set_in_flight(self._member.index, count)

    def model(self, name: str, version: int) -> ModelSeries:
        """Return the time series of one version of a model, made when they are first asked for."""
        found = self._of.get((name, version))
        if found is not None:
            return found
        if len(self._of) < _MOST_VERSIONS:
            found = self._of[name, version] = self._series(name, str(version))
            return found
        if self._of_others is None:
            self._of_others = self._series(_OTHER, _OTHER)
        return self._of_others

    def _series(self, name: str, version: str) -> ModelSeries:
        return ModelSeries(
            queue_seconds=self._queue.labels(name, version),
            decode_seconds=self._decode.labels(name, version),
            inference_seconds=self._inference.labels(name, version),
            batch_rows=self._batch.labels(name, version),
            waiting_rows=self._waiting.labels(name, version),
            rejected_full=self._rejected.labels(name, version, "queue_full"),
            rejected_deadline=self._rejected.labels(name, version, "deadline"),
            cancelled=self._cancelled.labels(name, version),
        )

    def request(self, route: str, model: str, status: int) -> tuple[Counter, Histogram]:
        """Return the count of requests by route, model and status, and their durations by route and model."""
        found = self._answers.get((route, model, status))
        if found is None:
            known = model if (route, model) in self._routes or len(self._routes) < _MOST_ROUTES or not model else _OTHER
            seconds = self._routes[route, known] = self._request_seconds.labels(route, known)
            count: Counter = self._requests.labels(route, known, status)
            found = self._answers[route, model, status] = count, seconds
        return found

    def forget(self, name: str, version: int, is_last: bool) -> None:
        """Take away the series of a version that can no longer be used, and of its model's requests if it was the last.

        Requests that have begun go on counting, unseen. Where there are several workers, what is shown leaves them out.
        """
        if self._of.pop((name, version), None) is not None and self._member is None:
            labels = name, str(version)
            for metric in (self._queue, self._decode, self._inference, self._batch, self._waiting, self._cancelled):
                metric.remove(*labels)
            for reason in ("queue_full", "deadline"):
                self._rejected.remove(*labels, reason)
        if is_last:
            self._forget_requests(name)

    def _forget_requests(self, model: str) -> None:
        for route, known, status in [key for key in self._answers if key[1] == model]:
            del self._answers[route, known, status]
            if (route, model) in self._routes and self._member is None:
                self._requests.remove(route, model, status)
        for route, known in [key for key in self._routes if key[1] == model]:
            del self._routes[route, known]
            if self._member is None:
                self._request_seconds.remove(route, known)

    def watch(self, store: ModelRepository) -> None:
        """Ask a store at each scrape which models can be used, and forget those that go."""
        self._shown.register(_Models(store))
        if self._member is not None:
            self._shown.register(OfAllWorkers(self._member, store.usable_versions))
        store.on_gone = self.forget

    def pool(self, kind: str) -> PoolSeries:
        """Return the time series of the pool for one kind of work."""
        return PoolSeries(
            waiting=self._jobs_waiting.labels(kind),
            rejected_full=self._jobs_rejected.labels(kind, "queue_full"),
            rejected_deadline=self._jobs_rejected.labels(kind, "deadline"),
            cancelled=self._jobs_cancelled.labels(kind),
        )

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics as text, and its content type: OpenMetrics where ``accept`` asks for it."""
        encode, content_type = choose_encoder(",".join(filter(_is_known, accept.split(","))))
        return encode(self._shown), content_type


def _is_known(form: str) -> bool:
    """Return whether a part of an ``Accept`` header asks for a version that there is; the library fails on others."""
    return all(version in _VERSIONS for version in re.findall(r"version=([^;]*)", form))


class _InFlight(Collector):
    """A collector that asks at each scrape how many requests are being answered."""

    def __init__(self, count: Callable[[], int]) -> None:
        self._count = count

    def collect(self) -> Iterable[GaugeMetricFamily]:
        yield GaugeMetricFamily("scs_requests_in_flight", "Requests that are being answered.", self._count())


class _Models(Collector):
    """A collector that asks the store at each scrape, so that the state of models is kept in one place only."""

    def __init__(self, store: ModelRepository) -> None:
        self._store = store

    def collect(self) -> Iterable[GaugeMetricFamily]:
        ready = GaugeMetricFamily("scs_model_ready", "1 for a model that can be used, else 0.", labels=_MODEL)
        for state in filter(lambda state: state.wanted, self._store.states()):
            ready.add_metric((state.name, str(state.version)), float(state.model is not None))
        return [ready]
