"""The parts of an application, in one typed object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from starlette.requests import Request

from models.runtime.load import choose_device, usable_cores
from scs.cores import use_threads
from service.inference.batcher import Batcher
from service.inference.thread_pool import ThreadPool
from service.observability.metrics import Metrics
from service.oip.data_plane import DataPlane
from service.repository.policy import VersionPolicy
from service.repository.reload import Reloading
from service.repository.repository import ModelRepository
from service.settings import Settings
from service.shutdown import Stopping
from service.tasks.predict import Predictor

_HEAVY = 2  # matches and dense maps keep every core busy, and take gigabytes at the largest size allowed


@dataclass(frozen=True, eq=False)
class Services:
    """The parts of one application, shared by HTTP and gRPC.

    Attributes:
        settings: limits and addresses.
        models: every version of every model.
        reloading: makes changes of the models.
        metrics: what Prometheus is told.
        stopping: whether a graceful shutdown has begun.
        batcher: runs the networks.
        decoders: threads that decode what is too large for the event loop.
        heavy: threads for matches and activations.
        predictor: the task of classifying pictures.
        data_plane: the methods of the Open Inference Protocol.
    """

    settings: Settings
    models: ModelRepository
    reloading: Reloading
    metrics: Metrics
    stopping: Stopping
    batcher: Batcher
    decoders: ThreadPool
    heavy: ThreadPool
    predictor: Predictor
    data_plane: DataPlane

    @classmethod
    def of(cls, request: Request) -> Services:
        """Return the services of the application that answers a request."""
        return cast(Services, request.app.state.services)

    def close(self) -> None:
        """Shut the thread pools down, and cancel the work that waits for them."""
        for pool in (self.decoders, self.heavy):
            pool.close()


def make_services(settings: Settings) -> Services:
    """Make the parts of an application; no model is loaded yet.

    Raises:
        DeviceError: ``SCS_DEVICE=cuda`` where CUDA does not work.
    """
    use_threads(settings.threads)
    models = ModelRepository(
        settings.model_repository,
        choose_device(settings.device),
        settings.default_model,
        settings.allow_torchscript,
        VersionPolicy(settings.versions),
    )
    metrics = Metrics()
    metrics.watch(models)
    stopping = Stopping()
    reloading = Reloading(models, settings.repository_poll_s)
    batcher = Batcher(settings, metrics)
    decoders = ThreadPool("decodings", usable_cores(), settings.max_waiting_jobs, metrics.pool("decoding"))
    heavy = ThreadPool("matches and activations", _HEAVY, settings.max_waiting_jobs, metrics.pool("heavy"))
    predictor = Predictor(settings, batcher, decoders)
    return Services(
        settings=settings,
        models=models,
        reloading=reloading,
        metrics=metrics,
        stopping=stopping,
        batcher=batcher,
        decoders=decoders,
        heavy=heavy,
        predictor=predictor,
        data_plane=DataPlane(settings, reloading, stopping, batcher, predictor, decoders),
    )
