"""The metrics of several worker processes, kept in files that all of them map into memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable

import prometheus_client.values
from prometheus_client import ProcessCollector
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from service.cluster.member import Member

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def share_values(member: Member) -> None:
    """Have metrics that are made from now on in this process keep their values in files of the shared folder.

    A file is named by the number of a worker, not by its process: one that is restarted goes on counting where the one
    before it ended, to the last request, however that ended.
    """
    os.environ[_FOLDER] = str(member.folder)
    prometheus_client.values.ValueClass = prometheus_client.values.MultiProcessValue(lambda: member.index)  # type: ignore[no-untyped-call]


class OfAllWorkers(MultiProcessCollector):
    """The sums of what all workers have counted.

    Args:
        member: this process among the workers.
        usable: tells which versions of models can be used, as name and number; others' series are left out.
    """

    def __init__(self, member: Member, usable: Callable[[], Collection[tuple[str, str]]]) -> None:
        super().__init__(None, str(member.folder))  # type: ignore[no-untyped-call]
        self._usable = usable

    def collect(self) -> Iterable[Metric]:
        """Yield the metrics, without the series of versions that can no longer be used."""
        usable = {*self._usable()}
        names = {name for name, _ in usable} | {"", "other"}

        def is_shown(sample: Sample) -> bool:
            model, version = sample.labels.get("model", ""), sample.labels.get("version")
            return model in names and (version is None or model == "other" or (model, version) in usable)

        for metric in super().collect():  # type: ignore[no-untyped-call]
            metric.samples = [sample for sample in metric.samples if is_shown(sample)]
            yield metric


class ProcessesOfWorkers(Collector):
    """The figures of each worker's process, with the label ``worker``.

    Args:
        member: this process among the workers.
    """

    def __init__(self, member: Member) -> None:
        self._board = member.board

    def collect(self) -> Iterable[Metric]:
        """Yield the figures that a single process has, for each worker that there is."""
        found: dict[str, Metric] = {}
        for worker, pid in self._board.pids():
            own = ProcessCollector(pid=lambda pid=pid: pid, registry=None)  # type: ignore[misc]
            for metric in own.collect():
                kept = found.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
                for sample in metric.samples:
                    kept.samples.append(sample._replace(labels={**sample.labels, "worker": str(worker)}))
        return found.values()
