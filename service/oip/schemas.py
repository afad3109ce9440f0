"""Schemas of the protocol's JSON for OpenAPI: for /docs and for generated clients."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

# fmt: off
Datatype = Literal[
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BF16",
    "BYTES",
]
# fmt: on


class ProtocolFailure(BaseModel):
    """Any failure below ``/v2``."""

    error: str = Field(description="What was needed, and what came.")


class ServerMetadata(BaseModel):
    """Answer of ``GET /v2``."""

    name: str
    version: str
    extensions: list[str]


class TensorMetadata(BaseModel):
    """An input or an output of a model."""

    name: str
    datatype: Datatype
    shape: list[int] = Field(description="-1 stands for any size.")


class ModelMetadata(BaseModel):
    """Answer of ``GET /v2/models/{name}``."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ModelReady(BaseModel):
    """Answer of ``GET /v2/models/{name}/ready``."""

    name: str
    ready: Literal[True] = True


class ModelStatistics(BaseModel):
    """Answer of ``GET /v2/models/stats`` and of ``GET /v2/models/{name}/stats``."""

    model_config = ConfigDict(protected_namespaces=())

    model_stats: list[dict[str, Any]]


class RequestInput(BaseModel):
    """An input tensor; ``data`` nested to its shape or flat, or else binary data and ``binary_data_size``."""

    name: Literal["image"]
    datatype: Datatype
    shape: list[int]
    parameters: dict[str, Any] = {}
    data: list[Any] | None = None


class RequestOutput(BaseModel):
    """An output that is wanted; parameters are ``binary_data`` and ``classification``."""

    name: Literal["logits"]
    parameters: dict[str, Any] = {}


class RequestBody(BaseModel):
    """Body of ``POST /v2/models/{name}/infer``."""

    id: str = ""
    parameters: dict[str, Any] = Field({}, description="`binary_data_output`, and `timeout` in microseconds.")
    inputs: list[RequestInput]
    outputs: list[RequestOutput] = []


class ResponseOutput(BaseModel):
    """An output tensor; ``data`` flat, or else binary data and ``binary_data_size``."""

    name: str
    datatype: Datatype
    shape: list[int]
    parameters: dict[str, Any] = {}
    data: list[float] | list[str] | None = None


class ResponseBody(BaseModel):
    """Answer of ``POST /v2/models/{name}/infer``."""

    name: str = Field(alias="model_name")
    version: str = Field(alias="model_version")
    id: str | None = None
    outputs: list[ResponseOutput]
