"""``POST /match``: templates to places in a scene."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from scs.errors import DeadlineError
from service.api.match import MatchOptions, MatchResponse
from service.http.accept import accepted_form
from service.http.client import client_of
from service.http.disconnect import cancel_on_disconnect
from service.http.large_answer import LargeAnswer
from service.http.match_upload import MATCH_BODY, read_match_upload
from service.http.problems import DEADLINE_RESPONSE, RESPONSES
from service.services import Services
from service.tasks.match.answer import FORMS, JSON, answer_match

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

    ``Accept: image/png`` gives the scores of the best match's template, in its pose, as a heatmap;
    ``application/x-npz`` and ``application/x-npy`` the scores themselves; anything else JSON.
    """
    services = Services.of(request)
    settings = services.settings
    deadline = time.monotonic() + settings.request_timeout_s
    upload = await read_match_upload(request)
    form = accepted_form(request, FORMS)
    try:
        with cancel_on_disconnect(request):
            answer = await services.heavy.run_for(
                client_of(request), deadline, answer_match, upload, options, settings, form, deadline
            )
    except DeadlineError:
        raise DeadlineError(
            f"a match may take {settings.request_timeout_s:g} seconds and was not ready by then; a smaller scene, "
            "fewer templates or fewer angles and scales take less"
        ) from None
    return LargeAnswer(answer, form, services.memory)
