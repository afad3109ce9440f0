"""What FastAPI traces: spans of requests, where an endpoint for them is set."""

from __future__ import annotations

from fastapi.telemetry import TelemetryConfig

from service.observability.tracing import IS_ON

_QUIET = ("/metrics", "/v2/health/")


def telemetry() -> TelemetryConfig:
    """Trace requests but for those of probes; never metrics or logs, which go elsewhere."""
    return TelemetryConfig(
        tracing=IS_ON,
        metrics=False,
        logs=False,
        operation_spans=False,
        auto_configure=IS_ON,
        exclude=lambda scope: scope["path"].startswith(_QUIET),
    )
