"""The application: models loaded, routes mounted, failures and limits in place."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from importlib.metadata import version

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware import Middleware

from models.onnx import native
from models.runtime.load import choose_device, cuda_obstacle, usable_cores
from scs.errors import MissingPackageError
from service.http.gates import put_before
from service.http.middleware.body_limit import BodyLimit
from service.http.middleware.instrumentation import Watch
from service.http.middleware.page_headers import PageHeaders
from service.http.middleware.security import ApiKey, allow_origins
from service.http.openapi import describe_refusals
from service.http.problems import install_problem_handlers
from service.http.routes import activations, health, inference, match, metrics, models, predict, repository
from service.http.server.stopping import Stopping
from service.http.shortcut import Shortcut
from service.inference.batcher import Engine
from service.inference.thread_pool import Jobs
from service.observability.metrics import Metrics
from service.observability.tracing import telemetry
from service.oip.data_plane import Inference
from service.repository.reload import Reloading
from service.repository.repository import ModelRepository
from service.settings import Settings, read_settings
from service.tasks.match.warmup import settle, warming
from service.tasks.predictor import Predictor

_log = logging.getLogger(__name__)

_HEAVY = 2  # matches and dense maps keep every core busy, and take gigabytes at the largest size allowed

_DESCRIPTION = """\
Image classifiers made of *sharpened cosine similarity* and of convolution, with every layer open as heatmaps.

A picture is sent as it is, with its own content type (`image/jpeg`, `image/png`, …); as `file` in a form; as a NumPy
array (`application/x-npy`); or as base64 in JSON. Failures are `application/problem+json`.
"""


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the service.

    Args:
        settings: from the environment unless given.

    Raises:
        DeviceError: ``SCS_DEVICE=cuda`` where CUDA does not work.
        MissingPackageError: ``SCS_GRPC_PORT`` where gRPC is not installed.
    """
    settings = settings or read_settings()
    over_grpc = _grpc(settings)
    store = ModelRepository(
        settings.model_repository, choose_device(settings.device), settings.default_model, settings.allow_torchscript
    )
    reloading = Reloading(store, settings.repository_poll_s)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        _log.info("models run on %s%s", store.device, _why_not_cuda(settings, store))
        if store.device == "cpu":
            _log.info("kernels of sharpened cosine similarity: %s", native.described())
        if settings.api_key is None and not _is_loopback(settings.host):
            _log.warning(
                "%s may be open to other machines, and anybody there may ask: SCS_API_KEY is not set", settings.host
            )
        async with reloading:
            await reloading.run(store.load_all)
            if not store.ready():
                _log.warning(
                    "not ready: the default model %s, or one that is required, cannot be used", store.default_model
                )
            settle()
            with warming():
                async with over_grpc(app):
                    yield
        for jobs in (decoders, heavy):
            jobs.close()

    app = FastAPIOffline(  # its /docs brings its scripts along instead of fetching them from a CDN
        title="scs-serve",
        version=version("scs-serve"),
        description=_DESCRIPTION,
        lifespan=lifespan,
        redoc_url=None,
        telemetry=telemetry(),
    )
    app.state.settings, app.state.models, app.state.reloading = settings, store, reloading
    app.state.metrics = measured = Metrics(store)
    app.state.stopping = stopping = Stopping()
    app.state.engine = engine = Engine(settings, measured)
    decoders = Jobs("decodings", usable_cores(), settings.max_waiting_jobs, measured.jobs("decoding"))
    heavy = Jobs("matches and activations", _HEAVY, settings.max_waiting_jobs, measured.jobs("heavy"))
    app.state.predictor, app.state.heavy = Predictor(settings, engine, decoders), heavy
    app.state.inference = Inference(settings, engine, decoders)
    install_problem_handlers(app)
    gates = [
        Middleware(BodyLimit, most=settings.max_body_bytes),
        Middleware(Shortcut, routes=[predict.SHORT, *inference.SHORT], handlers=app.exception_handlers),
        Middleware(PageHeaders),  # behind the short way, which has no pages
    ]
    if settings.api_key is not None:
        gates.insert(0, Middleware(ApiKey, key=settings.api_key))
    if settings.cors_origins:
        gates.insert(0, allow_origins(settings.cors_origins))
    gates.insert(0, Middleware(Watch, metrics=measured, stopping=stopping))
    put_before(app, gates)
    describe_refusals(app, with_key=settings.api_key is not None)
    for routes in (predict, activations, match, models, inference, repository, health, metrics):
        app.include_router(routes.router)
    return app


def _grpc(settings: Settings) -> Callable[[FastAPI], AbstractAsyncContextManager[object]]:
    if settings.grpc_port is None:
        return nullcontext
    try:
        from service.oip.grpc.server import serving_grpc
    except ImportError:
        raise MissingPackageError("SCS_GRPC_PORT needs gRPC: pip install 'scs-serve[grpc]'") from None
    return serving_grpc


def _why_not_cuda(settings: Settings, store: ModelRepository) -> str:
    return f": {cuda_obstacle()}" if settings.device == "auto" and store.device == "cpu" else ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost"
