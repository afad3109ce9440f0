"""``POST /match``: templates to places in a scene."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from scs.errors import DeadlineError
from service.api.files import MatchUpload
from service.api.match import MatchOptions, MatchResponse
from service.http.accept import accepted_form
from service.http.disconnect import cancel_on_disconnect
from service.http.match_upload import MATCH_BODY, read_match_upload
from service.http.problems import DEADLINE_RESPONSE, RESPONSES
from service.services import Services
from service.settings import Settings
from service.tasks.match.answer import to_match_npy, to_match_npz, to_match_png, to_match_response
from service.tasks.match.find import Matches, find_matches

router = APIRouter(tags=["match"], responses={**RESPONSES, **DEADLINE_RESPONSE})

_JSON, _PNG, _NPY, _NPZ = "application/json", "image/png", "application/x-npy", "application/x-npz"
_WRITERS: dict[str, Callable[[Matches], str | bytes]] = {
    _JSON: lambda found: to_match_response(found).model_dump_json(),
    _PNG: to_match_png,
    _NPY: to_match_npy,
    _NPZ: to_match_npz,
}
_OTHER_FORMS: dict[int | str, dict[str, Any]] = {
    200: {"content": {form: {"schema": {"type": "string", "format": "binary"}} for form in (_PNG, _NPY, _NPZ)}}
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
    form = accepted_form(request, _WRITERS)
    try:
        with cancel_on_disconnect(request):
            return await services.heavy.run(deadline, _answer, upload, options, settings, form, deadline)
    except DeadlineError:
        raise DeadlineError(
            f"a match may take {settings.request_timeout_s:g} seconds and was not ready by then; a smaller scene, "
            "fewer templates or fewer angles and scales take less"
        ) from None


def _answer(upload: MatchUpload, options: MatchOptions, settings: Settings, form: str, deadline: float) -> Response:
    found = find_matches(upload, options, settings, deadline)
    return Response(_WRITERS[form](found), media_type=form)
