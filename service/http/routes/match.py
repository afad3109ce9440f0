"""``POST /match``: templates to places in a scene."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from scs.errors import DeadlineError
from service.api.files import MatchUpload
from service.api.match import MatchOptions, MatchResponse
from service.http.accept import accepted_form
from service.http.client import client_of
from service.http.disconnect import cancel_on_disconnect
from service.http.large_answer import LargeAnswer
from service.http.match_upload import MATCH_BODY, read_match_upload
from service.http.problems import DEADLINE_RESPONSE, RESPONSES
from service.picture_cache.cache import PictureCache
from service.repository.loader import LoadedModel
from service.repository.sent_model import SentModel
from service.services import Services
from service.tasks.match.answer import FORMS, JSON, answer_match, answer_match_in_network
from service.tasks.match.found import in_network

router = APIRouter(tags=["match"], responses={**RESPONSES, **DEADLINE_RESPONSE})

_OTHER_FORMS: dict[int | str, dict[str, Any]] = {
    200: {"content": {form: {"schema": {"type": "string", "format": "binary"}} for form in FORMS if form != JSON}}
}


@router.post(
    "/match",
    summary="Find templates in a scene",
    response_model=MatchResponse,
    responses=_OTHER_FORMS,
    openapi_extra={"requestBody": MATCH_BODY},
)
async def post_match(request: Request, options: Annotated[MatchOptions, Query()]) -> Response:
    """Find templates in a scene: where each one lies, its pose, and whether that is more than chance.

    Pictures are compared in RGB, or in grey where none of them has colours. What is transparent in a template does not
    count, unless a mask says what does. NumPy arrays of any number of channels are compared as they are, and so are
    signals of one dimension.

    With ``method=features``, or ``parts`` and a ``model``, the features of a network are compared. The scene is kept
    for a while: a further question may name it by its digest, as ``picture``, and does not run the network again.

    ``Accept: image/png`` gives the scores of the best match's template, in its pose, as a heatmap;
    ``application/x-npz`` and ``application/x-npy`` the scores themselves; ``application/zip`` these beside
    ``answer.json``, the JSON answer; anything else JSON.
    """
    services = Services.of(request)
    settings = services.settings
    deadline = time.monotonic() + settings.request_timeout_s
    known = None if options.picture is None else services.pictures.picture(options.picture)
    upload = await _remembered(await read_match_upload(request, known, options.box is not None), services.pictures)
    form = accepted_form(request, FORMS)
    model = services.models.get(options.model, options.version) if in_network(options) else None
    try:
        with cancel_on_disconnect(request):
            if model is None:
                answer = await services.heavy.run_for(
                    client_of(request), deadline, answer_match, upload, options, settings, form, deadline
                )
            else:
                answer = await _answer_in_network(services, model, upload, options, form, deadline, client_of(request))
    except DeadlineError:
        raise DeadlineError(
            f"a match may take {settings.request_timeout_s:g} seconds and was not ready by then; a smaller scene, "
            "fewer templates or fewer angles and scales take less"
        ) from None
    return LargeAnswer(answer, form, services.memory)


async def _remembered(upload: MatchUpload, pictures: PictureCache) -> MatchUpload:
    """Keep the scene and the reference for further questions."""
    scene = await pictures.remember(upload.scene)
    reference = upload.reference
    if reference is not None:
        reference = scene if reference is upload.scene else await pictures.remember(reference)
    return replace(upload, scene=scene, reference=reference)


async def _answer_in_network(
    services: Services,
    model: LoadedModel,
    upload: MatchUpload,
    options: MatchOptions,
    form: str,
    deadline: float,
    client: str,
) -> bytes:
    pictures = [upload.scene, *([] if upload.reference is None else [upload.reference])]
    answer, made = await services.heavy.run_for(
        client,
        deadline,
        answer_match_in_network,
        SentModel.of(model),
        upload,
        options,
        services.settings,
        form,
        deadline,
        services.pictures.maps(model, pictures),
        services.pictures.most_of_one,
    )
    services.pictures.keep(model, made)
    return answer
