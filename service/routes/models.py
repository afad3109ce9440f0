"""What models there are, and what is known of each."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from models.catalogue import Entry
from service.model_store import LoadedModel, ModelStore, Unavailable
from service.problems import RESPONSES
from service.schemas import ModelDetail, ModelList, ModelState

router = APIRouter(prefix="/models", tags=["models"], responses=RESPONSES)


@router.get("", summary="List the models")
async def list_models(request: Request) -> ModelList:
    """Every version of every model, and whether it can be used."""
    store: ModelStore = request.app.state.models
    return ModelList(models=[_state(entry, state, store) for entry, state in store.states().items()])


@router.get("/{name}", summary="A model's card")
async def show_model(request: Request, name: str, version: Annotated[int | None, Query(gt=0)] = None) -> ModelDetail:
    """The card of a model, its newest version unless told, and where it runs."""
    store: ModelStore = request.app.state.models
    entry, state = store.state(name, version)
    return ModelDetail(card=state.card, **_state(entry, state, store).model_dump())


def _state(entry: Entry, state: LoadedModel | Unavailable, store: ModelStore) -> ModelState:
    return ModelState(
        name=entry.name,
        version=entry.version,
        available=isinstance(state, LoadedModel),
        reason=state.reason if isinstance(state, Unavailable) else None,
        device=state.runtime.device if isinstance(state, LoadedModel) else None,
        default=entry.name == store.default_model,
    )
