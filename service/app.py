"""The application: models loaded, routes mounted, failures and limits in place."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from importlib.metadata import version

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from models.runtime import choose_device, cuda_obstacle
from scs.errors import MissingPackageError
from service.limits import BodyLimit
from service.metrics import Metrics
from service.model_store import ModelStore
from service.problems import install_problem_handlers
from service.reloading import Reloading
from service.routes import activations, health, inference, match, metrics, models, predict, repository
from service.security import ApiKey, describe_key
from service.settings import Settings, read_settings
from service.stopping import Stopping
from service.tracing import telemetry
from service.warming import warming
from service.watch import Watch

_log = logging.getLogger(__name__)

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
    store = ModelStore(
        settings.model_repository, choose_device(settings.device), settings.default_model, settings.allow_torchscript
    )
    reloading = Reloading(store, settings.repository_poll_s)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        _log.info("models run on %s%s", store.device, _why_not_cuda(settings, store))
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
            with warming():
                async with over_grpc(app):
                    yield

    app = FastAPIOffline(  # its /docs brings its scripts along instead of fetching them from a CDN
        title="scs-serve",
        version=version("scs-serve"),
        description=_DESCRIPTION,
        lifespan=lifespan,
        redoc_url=None,
        telemetry=telemetry(),
    )
    app.state.settings, app.state.models = settings, store
    app.state.reloading = reloading
    app.state.metrics, app.state.stopping = Metrics(store), Stopping()
    app.add_middleware(BodyLimit, most=settings.max_body_bytes)
    if settings.api_key is not None:
        app.add_middleware(ApiKey, key=settings.api_key)
        describe_key(app)
    app.add_middleware(Watch, metrics=app.state.metrics, stopping=app.state.stopping)  # the last is the outermost
    install_problem_handlers(app)
    for routes in (predict, activations, match, models, inference, repository, health, metrics):
        app.include_router(routes.router)
    return app


def _grpc(settings: Settings) -> Callable[[FastAPI], AbstractAsyncContextManager[object]]:
    if settings.grpc_port is None:
        return nullcontext
    try:
        from service.grpc_server import serving_grpc
    except ImportError:
        raise MissingPackageError("SCS_GRPC_PORT needs gRPC: pip install 'scs-serve[grpc]'") from None
    return serving_grpc


def _why_not_cuda(settings: Settings, store: ModelStore) -> str:
    return f": {cuda_obstacle()}" if settings.device == "auto" and store.device == "cpu" else ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost"
