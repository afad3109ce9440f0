"""The Open Inference Protocol over gRPC, on a port of its own; needs the extra ``grpc``."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
from fastapi import FastAPI
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from starlette.concurrency import run_in_threadpool

from scs.errors import (
    BusyError,
    DeadlineError,
    DeviceError,
    ImageError,
    MissingPackageError,
    ModelError,
    OptionError,
    ProtocolError,
    ScsError,
    ShapeError,
    TooLargeError,
    UnknownNameError,
)
from service.http.middleware.security import is_allowed
from service.inference.batcher import Engine
from service.oip import metadata
from service.oip.grpc import messages as proto
from service.oip.metadata import usable_models
from service.oip.triton_config import model_config
from service.oip.triton_statistics import model_statistics
from service.repository.reload import Reloading
from service.repository.repository import ModelRepository
from service.settings import Settings

_log = logging.getLogger(__name__)


class NoKeyError(ScsError):
    """A change that only those may make who have a key, where the operator has set none."""


STATUSES: dict[type[ScsError], grpc.StatusCode] = {
    ImageError: grpc.StatusCode.INVALID_ARGUMENT,
    ProtocolError: grpc.StatusCode.INVALID_ARGUMENT,
    OptionError: grpc.StatusCode.INVALID_ARGUMENT,
    ShapeError: grpc.StatusCode.INVALID_ARGUMENT,
    TooLargeError: grpc.StatusCode.INVALID_ARGUMENT,
    UnknownNameError: grpc.StatusCode.NOT_FOUND,
    NoKeyError: grpc.StatusCode.PERMISSION_DENIED,
    BusyError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ModelError: grpc.StatusCode.UNAVAILABLE,
    MissingPackageError: grpc.StatusCode.UNAVAILABLE,
    DeviceError: grpc.StatusCode.UNAVAILABLE,
    DeadlineError: grpc.StatusCode.DEADLINE_EXCEEDED,
}

_HEALTH = ("ServerLive", "ServerReady")

Content = dict[str, Any]


@asynccontextmanager
async def serving_grpc(app: FastAPI) -> AsyncIterator[int]:
    """Serve an application's models over gRPC as long as this lasts.

    Yields:
        The port, which the system chooses where it is set to 0.

    Raises:
        OptionError: the port cannot be listened on.
    """
    settings: Settings = app.state.settings
    calls, described = _Calls(app), proto.service()
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            _guarded(method, getattr(calls, name)),
            request_deserializer=GetMessageClass(method.input_type).FromString,
            response_serializer=GetMessageClass(method.output_type).SerializeToString,
        )
        for name, method in described.methods_by_name.items()
    }
    server = grpc.aio.server(
        interceptors=[] if settings.api_key is None else [_KeyNeeded(settings)],
        options=[
            ("grpc.max_receive_message_length", settings.max_body_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),  # a port that is taken is an error
        ],
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(described.full_name, handlers),))
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    try:
        port: int = server.add_insecure_port(f"{host}:{settings.grpc_port}")
    except RuntimeError:
        raise OptionError(f"SCS_GRPC_PORT: {settings.grpc_port} on {settings.host} cannot be listened on") from None
    await server.start()
    _log.info("the inference protocol is served over gRPC on %s:%d", host, port)
    try:
        yield port
    finally:
        await server.stop(settings.grace_s)


class _Calls:
    """The methods of the service, by their names there; each answers with the content of the protocol's JSON."""

    def __init__(self, app: FastAPI) -> None:
        self._state = app.state

    @property
    def _store(self) -> ModelRepository:
        store: ModelRepository = self._state.models
        return store

    async def ServerLive(self, sent: Any) -> Content:  # noqa: N802
        return {"live": True}

    async def ServerReady(self, sent: Any) -> Content:  # noqa: N802
        return {"ready": self._store.ready() and not self._state.stopping.begun}

    async def ServerMetadata(self, sent: Any) -> Content:  # noqa: N802
        return metadata.server_metadata()

    async def ModelReady(self, sent: Any) -> Content:  # noqa: N802
        return {"ready": self._store.is_ready(sent.name, sent.version or None)}

    async def ModelMetadata(self, sent: Any) -> Content:  # noqa: N802
        model = self._store.get(sent.name, sent.version or None)
        return metadata.model_metadata(model.card, usable_models(self._store, model.card.name))

    async def ModelConfig(self, sent: Any) -> Content:  # noqa: N802
        model = self._store.get(sent.name, sent.version or None)
        return {"config": model_config(model.card, model.runtime.device, self._state.settings)}

    async def RepositoryIndex(self, sent: Any) -> Content:  # noqa: N802
        states = await run_in_threadpool(self._store.index)
        return {
            "models": [
                {"name": each.name, "version": str(each.version), "state": each.state, "reason": each.reason or ""}
                for each in states
                if each.model is not None or not sent.ready
            ]
        }

    async def RepositoryModelLoad(self, sent: Any) -> Content:  # noqa: N802
        for given in sent.parameters:
            raise ProtocolError(f"a model is loaded as it lies in the repository; the parameter {given[:60]!r} came")
        reloading = self._changes()
        await reloading.run(reloading.store.load, sent.model_name)
        return {}

    async def RepositoryModelUnload(self, sent: Any) -> Content:  # noqa: N802
        reloading = self._changes()
        await reloading.run(reloading.store.unload, sent.model_name)
        return {}

    def _changes(self) -> Reloading:
        """What makes changes, where the operator has said who may ask for them."""
        if self._state.settings.api_key is None:
            raise NoKeyError("models are changed only by those who have a key; SCS_API_KEY is not set")
        reloading: Reloading = self._state.reloading
        return reloading

    async def ModelInfer(self, sent: Any) -> Message:  # noqa: N802
        model = self._store.get(sent.model_name, sent.model_version or None)
        asked = proto.read_infer_request(sent)
        return proto.write_infer_response(await self._state.inference.infer(model, asked))

    async def ModelStatistics(self, sent: Any) -> Content:  # noqa: N802
        models = usable_models(self._store, sent.name or None)
        if sent.name:
            model = self._store.get(sent.name, sent.version or None)
            models = [model] if sent.version else models
        engine: Engine = self._state.engine
        return {"model_stats": [model_statistics(each.card, engine.statistics(each)) for each in models]}


def _guarded(
    method: MethodDescriptor, call: Callable[[Any], Awaitable[Content | Message]]
) -> Callable[[Any, grpc.aio.ServicerContext[Any, Any]], Awaitable[Message]]:
    """A method as gRPC calls it: its failures are statuses with one sentence."""

    async def answer(sent: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Message:
        try:
            answered = await call(sent)
        except ScsError as error:
            status, sentence = status_of(error), str(error)
        except Exception:
            _log.exception("%s failed", method.full_name)
            status = grpc.StatusCode.INTERNAL
            sentence = "the request failed for a reason that was not foreseen; it was logged"
        else:
            return answered if isinstance(answered, Message) else proto.response(method, answered)
        await context.abort(status, sentence)
        raise AssertionError("abort raises")

    return answer


def status_of(error: ScsError) -> grpc.StatusCode:
    """The status of an error of ours: that of its own class, or of the nearest class above it."""
    return next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), grpc.StatusCode.INTERNAL)


class _KeyNeeded(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Refuses calls without the API key, but for the server's health, before their message is read."""

    def __init__(self, settings: Settings) -> None:
        self._key = settings.api_key

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], details: Any) -> Any:
        handler = await continuation(details)
        if handler is None or details.method.rpartition("/")[2] in _HEALTH or self._knows(details.invocation_metadata):
            return handler

        async def refuse(sent: Any, context: Any) -> None:
            await context.abort(
                grpc.StatusCode.UNAUTHENTICATED, "a key is needed, as authorization 'Bearer …' or as x-api-key"
            )

        return grpc.unary_unary_rpc_method_handler(refuse)

    def _knows(self, sent: Any) -> bool:
        assert self._key is not None
        for name, value in sent or ():
            text = value.strip() if isinstance(value, str) else ""  # perf_analyzer sends the space behind the colon
            if name == "authorization" and text[:7].lower() == "bearer ":
                text = text[7:].strip()
            elif name != "x-api-key":
                continue
            if is_allowed(text, self._key):
                return True
        return False
