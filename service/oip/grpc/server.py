"""The Open Inference Protocol over gRPC, on a port of its own; needs the extra ``grpc``."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from scs.errors import (
    BusyError,
    DeadlineError,
    DeviceError,
    ImageError,
    MissingPackageError,
    ModelError,
    NoKeyError,
    NotFiniteError,
    OptionError,
    ProtocolError,
    ScsError,
    ShapeError,
    TooLargeError,
    UnknownNameError,
)
from service.api_key import is_allowed
from service.inference.event_loop import SMALL_JSON_BYTES
from service.oip.data_plane import DataPlane
from service.oip.grpc import messages
from service.oip.grpc.health import Health
from service.settings import Settings

_log = logging.getLogger(__name__)


STATUSES: dict[type[ScsError], grpc.StatusCode] = {
    ImageError: grpc.StatusCode.INVALID_ARGUMENT,
    ProtocolError: grpc.StatusCode.INVALID_ARGUMENT,
    OptionError: grpc.StatusCode.INVALID_ARGUMENT,
    ShapeError: grpc.StatusCode.INVALID_ARGUMENT,
    TooLargeError: grpc.StatusCode.INVALID_ARGUMENT,
    UnknownNameError: grpc.StatusCode.NOT_FOUND,
    NoKeyError: grpc.StatusCode.PERMISSION_DENIED,
    BusyError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    NotFiniteError: grpc.StatusCode.INTERNAL,
    ModelError: grpc.StatusCode.UNAVAILABLE,
    MissingPackageError: grpc.StatusCode.UNAVAILABLE,
    DeviceError: grpc.StatusCode.UNAVAILABLE,
    DeadlineError: grpc.StatusCode.DEADLINE_EXCEEDED,
}

_WITHOUT_KEY = (
    "/inference.GRPCInferenceService/ServerLive",
    "/inference.GRPCInferenceService/ServerReady",
    "/grpc.health.v1.Health/",
)

Content = dict[str, Any]


@asynccontextmanager
async def serving_grpc(settings: Settings, data_plane: DataPlane, shares_port: bool = False) -> AsyncIterator[int]:
    """Serve models over gRPC until the context ends.

    Args:
        settings: port, key and certificate.
        data_plane: what is served.
        shares_port: whether other processes of this service listen on the port as well.

    Yields:
        The port, which the system chooses where it is set to 0.

    Raises:
        OptionError: the port cannot be listened on, or the files for TLS cannot be used.
    """
    calls, described = _Calls(data_plane), messages.service()
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            _guarded(method, getattr(calls, name)),  # which parses, as deserializers run on the event loop
            response_serializer=GetMessageClass(method.output_type).SerializeToString,
        )
        for name, method in described.methods_by_name.items()
    }
    server = grpc.aio.server(
        interceptors=[] if settings.api_key is None else [_KeyNeeded(settings)],
        options=[
            ("grpc.max_receive_message_length", settings.max_body_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", int(shares_port)),  # unless shared, a port that is taken is an error
        ],
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(described.full_name, handlers),))
    health = Health(data_plane, described.full_name)
    _add_standard_services(server, health, described)
    credentials = _credentials(settings)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"{host}:{settings.grpc_port}"
    try:
        port: int = (
            server.add_insecure_port(address) if credentials is None else server.add_secure_port(address, credentials)
        )
    except RuntimeError:
        raise OptionError(f"SCS_GRPC_PORT: {settings.grpc_port} on {settings.host} cannot be listened on") from None
    await server.start()
    how = "" if credentials is None else ", with TLS"
    _log.info("the inference protocol is served over gRPC on %s:%d%s", host, port, how)
    try:
        yield port
    finally:
        health.close()
        await server.stop(settings.grace_s)


def _add_standard_services(server: grpc.aio.Server, health: Health, described: ServiceDescriptor) -> None:
    """Add the health service and the reflection that gRPC's own tools ask for."""
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    messages.add_to_pool(health_pb2.DESCRIPTOR.serialized_pb)
    healths = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
    names = (described.full_name, healths, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server, pool=described.file.pool)


def _credentials(settings: Settings) -> grpc.ServerCredentials | None:
    """Read the certificate and its key, or return None where neither is set.

    Raises:
        OptionError: only one is set, or they cannot be read.
    """
    if settings.grpc_tls_cert is None and settings.grpc_tls_key is None:
        return None
    if settings.grpc_tls_cert is None or settings.grpc_tls_key is None:
        raise OptionError("SCS_GRPC_TLS_CERT and SCS_GRPC_TLS_KEY are needed both; one came")
    contents = []
    for name, file in (("CERT", settings.grpc_tls_cert), ("KEY", settings.grpc_tls_key)):
        try:
            contents.append(file.read_bytes())
        except OSError as error:
            raise OptionError(f"SCS_GRPC_TLS_{name}: the file cannot be read: {error.strerror}") from None
        if b"-----BEGIN" not in contents[-1]:
            raise OptionError(f"SCS_GRPC_TLS_{name}: a file in PEM form was needed; another came")
    certificate, key = contents
    return grpc.ssl_server_credentials([(key, certificate)])


class _Calls:
    """The gRPC methods, named as in the ``.proto`` file; each returns the content of the protocol's JSON."""

    def __init__(self, data_plane: DataPlane) -> None:
        self._data_plane = data_plane

    async def ServerLive(self, sent: Any) -> Content:  # noqa: N802
        return {"live": True}

    async def ServerReady(self, sent: Any) -> Content:  # noqa: N802
        return {"ready": self._data_plane.server_ready()}

    async def ServerMetadata(self, sent: Any) -> Content:  # noqa: N802
        return self._data_plane.server_metadata()

    async def ModelReady(self, sent: Any) -> Content:  # noqa: N802
        return {"ready": self._data_plane.is_ready(sent.name, sent.version or None)}

    async def ModelMetadata(self, sent: Any) -> Content:  # noqa: N802
        return self._data_plane.model_metadata(sent.name, sent.version or None)

    async def ModelConfig(self, sent: Any) -> Content:  # noqa: N802
        return {"config": self._data_plane.model_config(sent.name, sent.version or None)}

    async def ModelStatistics(self, sent: Any) -> Content:  # noqa: N802
        return await self._data_plane.statistics(sent.name or None, sent.version or None)

    async def RepositoryIndex(self, sent: Any) -> Content:  # noqa: N802
        return {"models": await self._data_plane.index(sent.ready)}

    async def RepositoryModelLoad(self, sent: Any) -> Content:  # noqa: N802
        await self._data_plane.load(sent.model_name, sent.parameters)
        return {}

    async def RepositoryModelUnload(self, sent: Any) -> Content:  # noqa: N802
        await self._data_plane.unload(sent.model_name)
        return {}

    async def ModelInfer(self, sent: bytes) -> Message:  # noqa: N802
        name, version, asked = await self._data_plane.parse(messages.parse_infer_request, sent)
        model = self._data_plane.model(name, version or None)
        answer = await self._data_plane.infer(model, asked)
        return messages.write_infer_response(answer)


def _guarded(
    method: MethodDescriptor, call: Callable[[Any], Awaitable[Content | Message]]
) -> Callable[[Any, grpc.aio.ServicerContext[Any, Any]], Awaitable[Message]]:
    """Wrap a method for gRPC: an exception becomes a status code and one sentence.

    Messages are parsed here, except for ``ModelInfer``, whose may be large.
    """

    async def answer(sent: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> Message:
        try:
            answered = await call(sent if method.name == "ModelInfer" else _parsed(sent, method))
        except ScsError as error:
            status, sentence = status_of(error), str(error)
        except Exception:
            _log.exception("%s failed", method.full_name)
            status = grpc.StatusCode.INTERNAL
            sentence = "the request failed for a reason that was not foreseen; it was logged"
        else:
            return answered if isinstance(answered, Message) else messages.response(method, answered)
        await context.abort(status, sentence)
        raise AssertionError("abort raises")

    return answer


def _parsed(sent: bytes, method: MethodDescriptor) -> Any:
    if len(sent) > SMALL_JSON_BYTES:
        raise TooLargeError(f"a message of {method.name} may have {SMALL_JSON_BYTES} bytes; {len(sent)} came")
    return messages.parse(sent, method.input_type)


def status_of(error: ScsError) -> grpc.StatusCode:
    """Return the gRPC status of an exception of this project, by its class or the nearest base class."""
    return next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), grpc.StatusCode.INTERNAL)


class _KeyNeeded(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """An interceptor that refuses calls without the API key, except for health, before their message is read."""

    def __init__(self, settings: Settings) -> None:
        self._key = settings.api_key

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], details: Any) -> Any:
        handler = await continuation(details)
        is_open = details.method.startswith(_WITHOUT_KEY)
        if handler is None or is_open or self._knows(details.invocation_metadata):
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
