"""``POST /activations``: a picture to heatmaps of a network's layers."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from scs.errors import DeadlineError
from service.api.activations import ActivationOptions, ActivationsResponse
from service.http.accept import accepted_form
from service.http.client import client_of
from service.http.disconnect import cancel_on_disconnect
from service.http.large_answer import LargeAnswer
from service.http.problems import DEADLINE_RESPONSE, RESPONSES
from service.http.uploads import OR_KNOWN, read_question
from service.repository.sent_model import SentModel
from service.services import Services
from service.tasks.activations.task import FORMS, JSON, answer_activations

router = APIRouter(tags=["activations"], responses={**RESPONSES, **DEADLINE_RESPONSE})

_OTHER_FORMS: dict[int | str, dict[str, Any]] = {
    200: {"content": {form: {"schema": {"type": "string", "format": "binary"}} for form in FORMS if form != JSON}}
}


@router.post(
    "/activations",
    summary="Open up a network's layers",
    response_model=ActivationsResponse,
    responses=_OTHER_FORMS,
    openapi_extra={"requestBody": OR_KNOWN},
)
async def post_activations(request: Request, options: Annotated[ActivationOptions, Query()]) -> Response:
    """Return heatmaps of the layers asked for, the exact map of a class, and where a template or a box occurs.

    The picture and its features are kept for a while: a further question about it may name it by its digest, as
    ``picture``, and is answered without running the network again.

    ``Accept: image/png`` gives one picture of all of them, ``application/x-npz`` the raw numbers,
    ``application/zip`` these beside ``answer.json``, the JSON answer without its pictures, anything else JSON.
    """
    services = Services.of(request)
    model = services.models.get(options.model, options.version)
    request.state.model = model.card.name
    known = None if options.picture is None else services.pictures.picture(options.picture)
    upload = await read_question(request, known)
    form = accepted_form(request, FORMS)
    upload = replace(upload, images=[await services.pictures.remember(image) for image in upload.images])
    sent, settings, deadline = SentModel.of(model), services.settings, services.batcher.deadline(model)
    try:
        with cancel_on_disconnect(request):
            answer, made = await services.heavy.run_for(
                client_of(request),
                deadline,
                answer_activations,
                sent,
                upload,
                options,
                settings,
                form,
                services.pictures.maps(model, upload.images),
                services.pictures.most_of_one,
            )
    except DeadlineError:
        seconds = model.card.serving.timeout_s or settings.request_timeout_s
        raise DeadlineError(
            f"heatmaps may take {seconds:g} seconds and were not ready by then; fewer layers or channels, or a smaller "
            "picture (resize=512, say), take less"
        ) from None
    services.pictures.keep(model, made)
    return LargeAnswer(answer, form, services.memory)
