"""The standard health service of gRPC (``grpc.health.v1``), for probes and balancers; needs the extra ``grpc``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from service.oip.data_plane import DataPlane

_LOOK_S = 1.0
Status = health_pb2.HealthCheckResponse


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """The health of the server, and of the inference service, which is the same: whether requests can be answered.

    Args:
        data_plane: knows whether the server is ready.
        name: of the inference service.
    """

    def __init__(self, data_plane: DataPlane, name: str) -> None:
        self._data_plane, self._names = data_plane, ("", name)
        self._closed = asyncio.Event()

    def close(self) -> None:
        """End the answers of those who watch, which the server's stop would wait for."""
        self._closed.set()

    async def Check(self, sent: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:  # noqa: N802
        """Answer whether a service serves; NOT_FOUND for one that there is not."""
        if sent.service not in self._names:
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no service of this name")
        return Status(status=self._status(sent.service))

    async def Watch(self, sent: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        """Answer at once, and again whenever it changes, looking every second."""
        last = None
        while not self._closed.is_set():
            status = self._status(sent.service)
            if status != last:
                yield Status(status=status)
            last = status
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closed.wait(), _LOOK_S)

    def _status(self, name: str) -> Any:
        if name not in self._names:
            return Status.SERVICE_UNKNOWN
        return Status.SERVING if self._data_plane.server_ready() else Status.NOT_SERVING
