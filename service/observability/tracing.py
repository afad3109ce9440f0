"""Traces by OpenTelemetry: spans of a request's stages, below FastAPI's own spans of requests.

Nothing is traced, and nothing of the exporter imported, unless ``OTEL_EXPORTER_OTLP_ENDPOINT`` or
``OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`` is set. The library reads these and its other variables by itself.
"""

from __future__ import annotations

import os
import time

from opentelemetry import trace

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

IS_ON = any(os.environ.get(name) for name in _ENDPOINTS)


def trace_id() -> str:
    """Return the id of the caller's trace, as hexadecimal; empty outside of one."""
    if not IS_ON:
        return ""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else ""


def stage(name: str, start: float, end: float) -> None:
    """Add a finished stage as a span to the trace of the current request; do nothing where tracing is off.

    Args:
        name: of the span.
        start: on the clock of `time.perf_counter`.
        end: likewise.
    """
    if not IS_ON:
        return
    now_ns = time.time_ns() - time.perf_counter_ns()
    span = trace.get_tracer("scs-serve").start_span(name, start_time=now_ns + int(start * 1e9))
    span.end(now_ns + int(end * 1e9))
