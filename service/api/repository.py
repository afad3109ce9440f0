"""Requests and answers of the inference protocol's model repository extension."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from service.api.models import State


class ModelIndex(BaseModel):
    """A version of a model in the answer of ``POST /v2/repository/index``."""

    name: str
    version: str
    state: State
    reason: str = Field(description="Why it is not ready, or why what is on disk by now was not taken; else empty.")


class IndexRequest(BaseModel):
    """Body of ``POST /v2/repository/index``."""

    ready: bool = Field(False, description="Name only what can be used.")


class LoadRequest(BaseModel):
    """Body of ``POST /v2/repository/models/{name}/load``."""

    parameters: dict[str, Any] = Field({}, description="None is taken: a model is loaded as it lies on disk.")


class UnloadRequest(BaseModel):
    """Body of ``POST /v2/repository/models/{name}/unload``."""

    parameters: dict[str, Any] = Field({}, description="None makes a difference: no model depends on another.")
