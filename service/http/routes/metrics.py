"""``GET /metrics``: what Prometheus scrapes."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from service.services import Services

router = APIRouter(tags=["metrics"])

_FORMS = ("text/plain", "application/openmetrics-text")


@router.get(
    "/metrics",
    summary="Counts and durations for Prometheus",
    response_class=Response,
    responses={200: {"content": {form: {"schema": {"type": "string"}} for form in _FORMS}}},
)
def get_metrics(request: Request) -> Response:
    """Return all metrics in Prometheus's text format, or as OpenMetrics where ``Accept`` asks for it."""
    # A plain function, so that it runs beside the event loop: writing the text takes milliseconds.
    text, content_type = Services.of(request).metrics.exposition(request.headers.get("accept", ""))
    return Response(text, headers={"content-type": content_type})
