"""``POST /match``: templates to places in a scene."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from scs.errors import DeadlineError
from service.finding import Matches, find_matches
from service.match_answers import to_match_npy, to_match_npz, to_match_png, to_match_response
from service.match_schemas import MatchOptions, MatchResponse
from service.match_upload import MATCH_BODY, MatchUpload, read_match_upload
from service.problems import DEADLINE_RESPONSE, RESPONSES
from service.routes.accept import accepted_form
from service.settings import Settings

router = APIRouter(tags=["match"], responses={**RESPONSES, **DEADLINE_RESPONSE})

# A match keeps every core busy, and takes gigabytes at the largest size allowed. One that is given up keeps its thread
# until it next looks at the clock, so threads of its own are what keeps them to two.
_threads = ThreadPoolExecutor(2, thread_name_prefix="match")

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
    """Where each template lies in the scene, how it lies, and whether that is more than chance.

    Pictures are compared in RGB, or in grey where none of them has colours. What is transparent in a template does not
    count, unless a mask says what does. NumPy arrays of any number of channels are compared as they are, and so are
    signals of one dimension.

    ``Accept: image/png`` gives the scores of the best match's template, in its pose, as a heatmap;
    ``application/x-npz`` and ``application/x-npy`` the scores themselves; anything else JSON.
    """
    settings = request.app.state.settings
    deadline = time.monotonic() + settings.request_timeout_s
    upload = await read_match_upload(request)
    form = accepted_form(request, _WRITERS)
    work = _threads.submit(_answer, upload, options, settings, form, deadline)
    try:
        return await asyncio.wait_for(asyncio.wrap_future(work), deadline - time.monotonic())
    except TimeoutError:
        raise DeadlineError(
            f"a match may take {settings.request_timeout_s:g} seconds and was not ready by then; a smaller scene, "
            "fewer templates or fewer angles and scales take less"
        ) from None


def _answer(upload: MatchUpload, options: MatchOptions, settings: Settings, form: str, deadline: float) -> Response:
    found = find_matches(upload, options, settings, deadline)
    return Response(_WRITERS[form](found), media_type=form)
