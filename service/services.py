"""The parts of an application, in one typed object."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from functools import partial

from starlette.requests import Request

from models.runtime.load import Device, choose_device, usable_cores
from scs.cores import use_threads
from scs.errors import ServerError
from service.cluster.member import Member
from service.cluster.memory_budget import SharedMemoryBudget
from service.inference.batcher import Batcher
from service.inference.shedder import Shedder
from service.memory_budget import MemoryBudget
from service.observability.metrics import Metrics
from service.oip.data_plane import DataPlane
from service.picture_cache.cache import PictureCache
from service.repository.device.obstacle import cuda_obstacle
from service.repository.device.process import DeviceProcess
from service.repository.policy import VersionPolicy
from service.repository.reload import Reloading
from service.repository.reload_together import ReloadingTogether
from service.repository.repository import ModelRepository
from service.repository.trial import Trial
from service.settings import Settings
from service.shutdown import Stopping
from service.tasks import preload
from service.tasks.predict import Predictor
from service.workers.borrowing import BorrowedWorker, BorrowingPool
from service.workers.lending import Lender, PoolSize
from service.workers.nursery import NURSERY
from service.workers.pools import HAS_PROCESSES, Pool, make_pool
from service.workers.worker import make_workers_by

_HEAVY = 2  # matches and dense maps keep every core busy, and take gigabytes at the largest size allowed
# Quarters of the memory for what is in flight: two for the heavy workers, one for decoders, one for this process.
_QUARTERS = 4
_DECODING_BYTES = 2**28  # that a decoder needs for a large photograph


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
        shedder: refuses requests before they are read.
        memory: the budget of what is in flight in this process.
        pictures: pictures that were sent, and their features, kept for further questions.
        decoders: worker processes that decode what is too large for the event loop.
        heavy: worker processes for matches, activations and large runs.
        predictor: the task of classifying pictures.
        data_plane: the methods of the Open Inference Protocol.
        device: the process that has the models' sessions on CUDA.
    """

    settings: Settings
    models: ModelRepository
    reloading: Reloading
    metrics: Metrics
    stopping: Stopping
    batcher: Batcher
    shedder: Shedder
    memory: MemoryBudget
    pictures: PictureCache
    decoders: Pool
    heavy: Pool
    predictor: Predictor
    data_plane: DataPlane
    device: DeviceProcess | None = None

    @classmethod
    def of(cls, request: Request) -> Services:
        """Return the services of the application that answers a request."""
        services: Services = request.app.state.services
        return services

    def warm_up(self) -> None:
        """Load the compiled loops of matching where workers come from, and fork one that has them; on a thread."""
        try:
            if isinstance(self.heavy, BorrowingPool):
                self.heavy.warm(preload.warm_matching)
                return
            if HAS_PROCESSES:
                NURSERY.prepare(preload.warm_matching)
            self.heavy.renew()
            self.heavy.prestart()
        except ServerError:
            if not self.stopping.begun:
                raise

    def close(self) -> None:
        """Cancel the work that waits, and kill the workers."""
        for pool in (self.decoders, self.heavy):
            pool.close()
        self.pictures.close()
        if self.device is not None:
            self.device.close()


def make_services(settings: Settings, member: Member | None = None) -> Services:
    """Make the parts of an application; no model is loaded yet.

    Args:
        settings: limits and addresses.
        member: this process among several workers, with which it shares limits and metrics; alone unless given.

    Raises:
        DeviceError: ``SCS_DEVICE=cuda`` where CUDA does not work.
    """
    if member is None:
        use_threads(settings.threads)
    if member is not None:
        make_workers_by(partial(BorrowedWorker, member.lent.address))
    elif HAS_PROCESSES:
        NURSERY.prepare(preload.import_all)
    quarter = settings.max_memory_bytes // _QUARTERS
    on = choose_device(settings.device, cuda_obstacle)
    device = device_process(on, settings)
    models = ModelRepository(
        settings.model_repository,
        on,
        settings.default_model,
        settings.allow_torchscript,
        VersionPolicy(settings.versions),
        Trial(settings.load_timeout_s, quarter, device) if HAS_PROCESSES else None,
    )
    metrics = Metrics(member)
    metrics.watch(models)
    stopping = Stopping()
    poll_s = settings.repository_poll_s
    reloading = Reloading(models, poll_s) if member is None else ReloadingTogether(models, poll_s, member)
    sizes = pool_sizes(settings) if member is None else member.lent.sizes

    def pool(name: str, memory: int) -> Pool:
        series, memory_of_one = metrics.pool(name), memory // sizes[name].workers
        if member is None:
            return make_pool(sizes[name].kind, sizes[name].workers, sizes[name].waiting, series, memory_of_one)
        return BorrowingPool(member.lent.address, name, sizes[name].workers, series, memory_of_one)

    decoders, heavy = pool("decoding", quarter), pool("heavy", 2 * quarter)
    batcher = Batcher(settings, metrics, heavy, 1 if member is None else member.board.workers)
    predictor = Predictor(settings, batcher, decoders)
    memory = MemoryBudget(quarter) if member is None else SharedMemoryBudget(quarter, member)
    return Services(
        settings=settings,
        models=models,
        reloading=reloading,
        metrics=metrics,
        stopping=stopping,
        batcher=batcher,
        memory=memory,
        pictures=PictureCache(settings.max_kept_bytes, settings.keep_pictures_s, memory),
        shedder=Shedder(),
        decoders=decoders,
        heavy=heavy,
        predictor=predictor,
        data_plane=DataPlane(settings, reloading, stopping, batcher, predictor, decoders, member),
        device=device,
    )


def pool_sizes(settings: Settings) -> dict[str, PoolSize]:
    """Return the size of each pool of worker processes of this machine."""
    waiting = settings.max_waiting_jobs
    decoding = max(1, min(usable_cores(), settings.max_memory_bytes // _QUARTERS // _DECODING_BYTES))
    return {
        "decoding": PoolSize("decodings", decoding, waiting),
        "heavy": PoolSize("matches and activations", _HEAVY, waiting),
    }


async def lend_workers(listener: socket.socket, settings: Settings) -> None:
    """Lend workers for everything heavy to several processes that answer requests, until cancelled."""
    use_threads(settings.threads)
    NURSERY.prepare(preload.import_all)
    await Lender(listener, pool_sizes(settings)).serve()


def device_process(device: Device, settings: Settings) -> DeviceProcess | None:
    """Start the process that has the models' sessions on CUDA; those on the CPU are in this one."""
    if device == "cpu" or not HAS_PROCESSES:
        return None
    return DeviceProcess(device, settings.load_timeout_s, settings.request_timeout_s)
