"""The service as a deployment of Ray Serve: ``serve run service.scaleout.ray:app``, or by ``deploy/ray.yaml``."""

from __future__ import annotations

import math
from typing import Any

import ray
from fastapi import FastAPI
from ray import serve
from ray.serve.config import AutoscalingConfig, BackpressureConfig
from ray.serve.schema import LoggingConfig

from scs.errors import OptionError
from service.app import create_app
from service.observability.logs import configure_logging
from service.settings import Settings, read_settings

_ONGOING = 16  # requests of a replica, above which Ray adds another; the target of deploy/kubernetes/autoscaler.yaml
_MOST_ONGOING = 64  # as the service itself takes before it refuses
_MOST_QUEUED = 256
_TO_END_S = 30.0  # for accepted requests, which may take SCS_REQUEST_TIMEOUT_S


def make_app() -> FastAPI:
    """Build the application of a replica, by the environment of its process.

    Raises:
        OptionError: ``SCS_GRPC_PORT`` is set.
        DeviceError: ``SCS_DEVICE=cuda`` where Ray gave it no GPU.
    """
    settings = settings_of_replica(read_settings(), ray.get_runtime_context().get_assigned_resources())
    configure_logging(settings.log_level, settings.log_format)
    return create_app(settings)


def settings_of_replica(settings: Settings, resources: dict[str, Any]) -> Settings:
    """Return the settings of a process that Ray gave so many cores.

    Raises:
        OptionError: a port for gRPC, which each replica of a machine would want.
    """
    if settings.grpc_port is not None:
        raise OptionError("Ray Serve hands on HTTP alone: unset SCS_GRPC_PORT, or serve gRPC by scs serve")
    threads = settings.threads or max(1, math.ceil(resources.get("CPU", 1)))
    return settings.model_copy(update={"threads": threads, "workers": 1})


deployment = serve.deployment(
    serve.ingress(make_app)(),
    name="scs",
    ray_actor_options={"num_cpus": 1},
    autoscaling_config=AutoscalingConfig(min_replicas=1, max_replicas=8, target_ongoing_requests=_ONGOING),
    max_ongoing_requests=_MOST_ONGOING,
    max_queued_requests=_MOST_QUEUED,
    backpressure_config=BackpressureConfig(retry_after_s=1),
    graceful_shutdown_timeout_s=_TO_END_S,
    logging_config=LoggingConfig(enable_access_log=False),  # the service writes one
)
app = deployment.bind()
