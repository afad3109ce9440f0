"""``POST /predict``: pictures to class probabilities."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool

from service.predicting import predict
from service.problems import RESPONSES
from service.schemas import PredictOptions, PredictResponse
from service.uploads import REQUEST_BODY, read_upload

router = APIRouter(tags=["predict"], responses=RESPONSES)


@router.post("/predict", summary="Classify pictures", openapi_extra={"requestBody": REQUEST_BODY})
async def post_predict(request: Request, options: Annotated[PredictOptions, Query()]) -> PredictResponse:
    """Send one picture as the body, or several as ``file`` fields of a form; get each one's classes, best first."""
    model = request.app.state.models.get(options.model, options.version)
    upload = await read_upload(request)
    return await run_in_threadpool(predict, model, upload, options, request.app.state.settings)
