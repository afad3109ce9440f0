"""``POST /predict``: pictures to class probabilities."""

from __future__ import annotations

from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Request, Response
from starlette.routing import Route

from service.api.predict import PredictOptions, PredictResponse
from service.http.disconnect import cancel_on_disconnect
from service.http.problems import DEADLINE_RESPONSE, RESPONSES
from service.http.query_options import read_options
from service.http.uploads import REQUEST_BODY, read_upload
from service.inference.event_loop import SMALL_LIST
from service.services import Services

router = APIRouter(tags=["predict"], responses={**RESPONSES, **DEADLINE_RESPONSE})


@router.post(
    "/predict",
    summary="Classify pictures",
    response_model=PredictResponse,
    openapi_extra={"requestBody": REQUEST_BODY},
)
async def post_predict(request: Request, options: Annotated[PredictOptions, Query()]) -> Response:
    """Classify pictures, sent as the body or as ``file`` fields of a form; return the classes, best first."""
    services = Services.of(request)
    model = services.models.get(options.model, options.version)
    request.state.model = model.card.name
    services.batcher.check_room(model)
    upload = await read_upload(request)
    deadline = services.batcher.deadline(model)
    with cancel_on_disconnect(request):
        answer = await services.predictor.predict(model, upload, options, deadline)
        is_small = sum(len(each["classes"]) for each in answer["predictions"]) <= SMALL_LIST
        content = orjson.dumps(answer) if is_small else await services.decoders.run(deadline, orjson.dumps, answer)
    return Response(content, media_type="application/json")


async def _post_predict(request: Request) -> Response:
    return await post_predict(request, read_options(request, PredictOptions))


HOT = [Route("/predict", _post_predict, methods=["POST"])]
