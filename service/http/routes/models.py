"""``GET /models`` and ``GET /models/{name}``: the state of models, and their cards."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from service.api.models import ModelDetail, ModelList, ModelState, VersionOption
from service.http.problems import RESPONSES
from service.repository.repository import ModelRepository
from service.repository.table import VersionState
from service.services import Services

router = APIRouter(prefix="/models", tags=["models"], responses=RESPONSES)


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
