"""The configuration of FastAPI's tracing: spans of requests, where an OpenTelemetry endpoint is set."""

from __future__ import annotations

from fastapi.telemetry import TelemetryConfig

from service.observability.tracing import IS_ON

_QUIET = ("/metrics", "/v2/health/")


def telemetry(prefix: str = "") -> TelemetryConfig:
    """Return a configuration that traces requests except for probes; metrics and logs go elsewhere.

    Args:
        prefix: of paths, which the proxy may have stripped or not.
    """
    return TelemetryConfig(
        tracing=IS_ON,
        metrics=False,
        logs=False,
        operation_spans=False,
        auto_configure=IS_ON,
        exclude=lambda scope: scope["path"].removeprefix(prefix).startswith(_QUIET),
    )
