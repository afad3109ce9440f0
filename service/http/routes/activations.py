"""``POST /activations``: a picture to heatmaps of a network's layers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from service.api.activations import ActivationOptions, ActivationsResponse
from service.api.files import Upload
from service.http.accept import accepted_form
from service.http.disconnect import cancel_on_disconnect
from service.http.problems import DEADLINE_RESPONSE, RESPONSES
from service.http.uploads import REQUEST_BODY, read_upload
from service.pictures.colour_maps import to_png
from service.repository.loader import LoadedModel
from service.services import Services
from service.settings import Settings
from service.tasks.activations.activate import Activations, activate
from service.tasks.activations.answer import to_npz, to_response
from service.tasks.activations.contact_sheet import draw_activations

router = APIRouter(tags=["activations"], responses={**RESPONSES, **DEADLINE_RESPONSE})

_JSON, _PNG, _NPZ = "application/json", "image/png", "application/x-npz"
_OTHER_FORMS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            _PNG: {"schema": {"type": "string", "format": "binary"}},
            _NPZ: {"schema": {"type": "string", "format": "binary"}},
        }
    }
}


@router.post(
    "/activations",
    summary="Open up a network's layers",
    response_model=ActivationsResponse,
    responses=_OTHER_FORMS,
    openapi_extra={"requestBody": REQUEST_BODY},
)
async def post_activations(request: Request, options: Annotated[ActivationOptions, Query()]) -> Response:
    """Return heatmaps of the layers asked for, the exact map of a class, and where a template or a box occurs.

    ``Accept: image/png`` gives one picture of all of them, ``application/x-npz`` the raw numbers, anything else JSON.
    """
    services = Services.of(request)
    model = services.models.get(options.model, options.version)
    request.state.model = model.card.name
    upload = await read_upload(request)
    form = accepted_form(request, _WRITERS)
    deadline = services.batcher.deadline(model)
    with cancel_on_disconnect(request):
        return await services.heavy.run(deadline, _answer, model, upload, options, services.settings, form)


def _answer(model: LoadedModel, upload: Upload, options: ActivationOptions, settings: Settings, form: str) -> Response:
    with closing(activate(model, upload, options, settings)) as activations:
        return Response(_WRITERS[form](activations, options.overlay), media_type=form)


_WRITERS: dict[str, Callable[[Activations, bool], str | bytes]] = {
    _JSON: lambda activations, overlay: to_response(activations, overlay).model_dump_json(),
    _PNG: lambda activations, overlay: to_png(draw_activations(activations, overlay)),
    _NPZ: lambda activations, overlay: to_npz(activations),
}
