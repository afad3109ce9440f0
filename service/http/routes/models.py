"""``GET /models``, ``/models/{name}``, its ``/graph`` and its ``/kernel``: the state of models, and what they are."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from service.api.models import (
    KernelOptions,
    LayerKernel,
    ModelDetail,
    ModelGraph,
    ModelList,
    ModelState,
    VersionOption,
)
from service.http.accept import accepted_form
from service.http.client import client_of
from service.http.disconnect import cancel_on_disconnect
from service.http.problems import DEADLINE_RESPONSE, RESPONSES
from service.repository.repository import ModelRepository
from service.repository.sent_model import SentModel
from service.repository.table import VersionState
from service.services import Services
from service.tasks.graph import answer_graph
from service.tasks.kernel import FORMS, NPY, answer_kernel

router = APIRouter(prefix="/models", tags=["models"], responses=RESPONSES)

_NUMBERS: dict[int | str, dict[str, Any]] = {
    200: {"content": {NPY: {"schema": {"type": "string", "format": "binary"}}}}
}


@router.get("", summary="List the models")
async def list_models(request: Request) -> ModelList:
    """List every version of every model, with its state and its labels."""
    store = Services.of(request).models
    return ModelList(models=[ModelState(**_fields(state, store)) for state in store.states()])


@router.get("/{name}", summary="A model's card")
async def show_model(request: Request, name: str, version: Annotated[VersionOption, Query()] = None) -> ModelDetail:
    """Return a model's card and state, of the default version unless another is named."""
    store = Services.of(request).models
    state = store.state(name, version)
    return ModelDetail(card=state.card, **_fields(state, store))


@router.get(
    "/{name}/graph", summary="The graph of a model's layers", response_model=ModelGraph, responses=DEADLINE_RESPONSE
)
async def show_graph(request: Request, name: str, version: Annotated[VersionOption, Query()] = None) -> Response:
    """Return which layer feeds which, by what operators, with shapes and parameters; only of ONNX models.

    A sum or concatenation of several branches is a node of its own, so that a skip connection is an edge.
    """
    services = Services.of(request)
    model = services.models.get(name, version)
    request.state.model = model.card.name
    deadline = services.batcher.deadline(model)
    with cancel_on_disconnect(request):
        answer = await services.heavy.run_for(client_of(request), deadline, answer_graph, SentModel.of(model))
    return Response(answer, media_type="application/json")


@router.get(
    "/{name}/kernel",
    summary="What a channel of a layer looks for",
    response_model=LayerKernel,
    responses={**_NUMBERS, **DEADLINE_RESPONSE},
)
async def show_kernel(request: Request, name: str, options: Annotated[KernelOptions, Query()]) -> Response:
    """Return the kernel of a channel and how it is laid over its input; only of ONNX models.

    ``Accept: application/x-npy`` gives the weights alone. A layer that pools another, or adds several, has no kernels.
    """
    services = Services.of(request)
    model = services.models.get(name, options.version)
    request.state.model = model.card.name
    form, deadline = accepted_form(request, FORMS), services.batcher.deadline(model)
    with cancel_on_disconnect(request):
        answer = await services.heavy.run_for(
            client_of(request), deadline, answer_kernel, SentModel.of(model), options, form
        )
    return Response(answer, media_type=form)


def _fields(state: VersionState, store: ModelRepository) -> dict[str, object]:
    return {
        "name": state.name,
        "version": state.version,
        "state": state.state,
        "available": state.model is not None,
        "reason": state.reason,
        "device": state.model.runtime.device if state.model else None,
        "kernels": state.model.runtime.kernels if state.model else None,
        "default": state.name == store.default_model,
        "default_version": state.version == store.default_version(state.name),
        "labels": [label for label, version in store.aliases(state.name).items() if version == state.version],
    }
