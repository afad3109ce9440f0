"""Health checks: liveness and readiness."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from service.api.health import Live, Ready
from service.services import Services

router = APIRouter(prefix="/v2/health", tags=["health"])


@router.get("/live", summary="The process answers")
async def live() -> Live:
    """Answer 200 as soon as the process answers at all (liveness)."""
    return Live()


@router.get("/ready", summary="Every model is loaded and has answered a warm-up", responses={503: {"model": Ready}})
async def ready(request: Request, response: Response) -> Ready:
    """Answer 200 once every required model has answered a warm-up, else 503; 503 during shutdown too (readiness)."""
    is_ready = Services.of(request).data_plane.server_ready()
    response.status_code = 200 if is_ready else 503
    return Ready(ready=is_ready)
