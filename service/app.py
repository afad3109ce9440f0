"""The FastAPI application: its routes, middleware, exception handlers, and its start and stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from importlib.metadata import version

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware import Middleware

from models.onnx import native
from scs.errors import MissingPackageError
from service.cluster.member import Member
from service.http.middleware.body_limit import BodyLimit
from service.http.middleware.head_requests import HeadRequests
from service.http.middleware.hot_routes import HotRoutes
from service.http.middleware.instrumentation import Instrumentation
from service.http.middleware.page_headers import PageHeaders
from service.http.middleware.path_prefix import PathPrefix, RestorePathPrefix
from service.http.middleware.security import ApiKey, allow_origins
from service.http.middleware.trusted_hosts import TrustedHosts, is_loopback, trusted_hosts
from service.http.openapi import describe_refusals
from service.http.problems import PROBLEM_HANDLERS
from service.http.routes import activations, explorer, health, inference, match, metrics, models, predict, repository
from service.http.telemetry import telemetry
from service.oip.data_plane import DataPlane
from service.repository.device.obstacle import cuda_obstacle
from service.services import Services, make_services
from service.settings import Settings, read_settings
from service.tasks.match.device import cuda_match_obstacle
from service.tasks.match.warmup import freeze_heap, warming_up

_log = logging.getLogger(__name__)

_HEAD_START_S = 1.0

_DESCRIPTION = """\
Image classifiers made of *sharpened cosine similarity* and of convolution, with every layer open as heatmaps.

A picture is sent as it is, with its own content type (`image/jpeg`, `image/png`, …); as `file` in a form; as a NumPy
array (`application/x-npy`); or as base64 in JSON. Failures are `application/problem+json`.
"""


def create_app(
    settings: Settings | None = None, *, loads_in_background: bool = False, member: Member | None = None
) -> FastAPI:
    """Build the FastAPI application with its routes, middleware and exception handlers.

    Args:
        settings: from the environment unless given.
        loads_in_background: whether the application starts after a second at the latest, and is not ready until its
            models are loaded; else it starts once they are.
        member: this process among several workers; alone unless given.

    Raises:
        DeviceError: ``SCS_DEVICE=cuda`` where CUDA does not work.
        MissingPackageError: ``SCS_GRPC_PORT`` where gRPC is not installed.
    """
    settings = settings or read_settings()
    over_grpc = _grpc(settings)
    services = make_services(settings, member)
    key, origins = settings.api_key, settings.cors_origins

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        _log_start(services)
        async with services.reloading:
            loading = asyncio.create_task(_load(services))
            # Most are loaded within that second, and then whoever waits for the port finds the service ready.
            await asyncio.wait([loading], timeout=_HEAD_START_S if loads_in_background else None)
            with warming_up(services.warm_up, after=loading):
                async with over_grpc(settings, services.data_plane, member is not None):
                    yield
            loading.cancel()
        services.close()

    app = FastAPIOffline(  # its /docs brings its scripts along instead of fetching them from a CDN
        title="scs-serve",
        version=version("scs-serve"),
        description=_DESCRIPTION,
        lifespan=lifespan,
        redoc_url=None,
        redirect_slashes=False,  # a redirect would repeat the `Host` that came
        telemetry=telemetry(settings.root_path or ""),
        exception_handlers=PROBLEM_HANDLERS,
        middleware=[  # the outermost first
            *([Middleware(PathPrefix, prefix=settings.root_path)] if settings.root_path else []),
            Middleware(
                Instrumentation,
                metrics=services.metrics,
                stopping=services.stopping,
                origins=origins,
                shedder=services.shedder,
            ),
            *([allow_origins(origins)] if origins else []),
            Middleware(TrustedHosts, hosts=trusted_hosts(settings), origins=origins),
            *([Middleware(ApiKey, key=key)] if key is not None else []),
            Middleware(BodyLimit, most=settings.max_body_bytes, memory=services.memory),
            Middleware(HotRoutes, routes=[*predict.HOT, *inference.HOT], handlers=PROBLEM_HANDLERS),
            Middleware(HeadRequests),
            Middleware(PageHeaders),
            Middleware(RestorePathPrefix),
        ],
    )
    app.state.services = services
    describe_refusals(app, with_key=key is not None)
    for routes in (predict, activations, match, models, inference, repository, health, metrics, explorer):
        app.include_router(routes.router)
    return app


async def _load(services: Services) -> None:
    """Load all models, and say so if the service is not ready then."""
    await services.reloading.load_all()
    if not services.models.ready():
        _log.warning(
            "not ready: the default model %s, or one that is required, cannot be used", services.settings.default_model
        )
    freeze_heap()


def _log_start(services: Services) -> None:
    settings, device = services.settings, services.models.device
    why = f": {cuda_obstacle()}" if settings.device == "auto" and device == "cpu" else ""
    _log.info("models run on %s%s", device, why)
    obstacle = cuda_match_obstacle(settings.device)
    _log.info("matches run on %s", "cuda" if obstacle is None else f"cpu: {obstacle}")
    if device == "cpu":
        _log.info("kernels of sharpened cosine similarity: %s", native.described())
    if settings.api_key is None and settings.uds is None and not is_loopback(settings.host):
        _log.warning(
            "%s may be open to other machines, and anybody there may ask: SCS_API_KEY is not set", settings.host
        )


def _grpc(settings: Settings) -> Callable[[Settings, DataPlane, bool], AbstractAsyncContextManager[object]]:
    if settings.grpc_port is None:
        return lambda *_: nullcontext()
    try:
        from service.oip.grpc.server import serving_grpc
    except ImportError:
        raise MissingPackageError("SCS_GRPC_PORT needs gRPC: pip install 'scs-serve[grpc]'") from None
    return serving_grpc
