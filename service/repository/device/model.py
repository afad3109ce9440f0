"""A model whose sessions are in the process of a device, as any other process sees it."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from models.cards.card import ModelCard
from models.cards.catalogue import verified
from models.onnx import native
from models.runtime.gradients import run_gradients
from models.runtime.kernel_inputs import run_kernel_input
from models.runtime.load import Array, Device, Gradients, Images
from service.repository.device import jobs
from service.workers.channel import OpenFile, receive, send
from service.workers.job import Job, Outcome
from service.workers.worker import lost

Result = TypeVar("Result")


@dataclass(frozen=True)
class Place:
    """Where a model is to be asked for: what a process needs to know to reach it.

    Attributes:
        address: of the device's process.
        device: that it has.
        number: by which it knows the model.
        seconds: that a run may take there.
        kernels: what runs the model's SCS layers there.
    """

    address: bytes
    device: Device
    number: int
    seconds: float
    kernels: native.Kernels | None = None


class DeviceModel:
    """A model in the process of a device; asking it waits for that process, so never on an event loop.

    Args:
        card: what it is.
        file: of the model, open for as long as this is used.
        place: where it is.
    """

    def __init__(self, card: ModelCard, file: OpenFile, place: Place) -> None:
        self.concurrent_runs = 1  # a device does one thing after the other
        self.card, self.file, self.place = card, file, place
        self.device, self.kernels = place.device, place.kernels

    def logits(self, images: Images) -> Array:
        """Logits ``(N, classes)`` of images ``(N, H, W, C)``.

        Raises:
            WorkerLostError: the process ended meanwhile; it is started again.
        """
        return self._ask(jobs.run_logits, images)

    def layers(self, images: Images, names: Sequence[str]) -> dict[str, Array]:
        """Logits under the name ``logits``, and the maps ``(N, K, H', W')`` of the layers named.

        Raises:
            WorkerLostError: the process ended meanwhile; it is started again.
        """
        return self._ask(jobs.run_layers, images, list(names))

    def gradients(self, images: Images, name: str, direction: Array) -> Gradients:
        """Gradients of the logits times ``direction`` by a layer's maps, computed on the CPU in this process.

        Raises:
            GradientError: there are none.
        """
        return run_gradients(lambda: verified(self.file.read(), self.card), self.card, name, images, direction)

    def kernel_input(self, images: Images, name: str) -> Array:
        """What the kernels of the layer named are laid over, computed on the CPU in this process.

        Raises:
            OptionError: the layer has no kernels.
        """
        return run_kernel_input(lambda: verified(self.file.read(), self.card), self.card, name, images)

    def _ask(self, work: Callable[..., Result], *args: object) -> Result:
        place = self.place
        try:
            return ask(place.address, work, jobs.Wanted(place.number, place.seconds), *args)
        except jobs.NotHeldError:
            source = jobs.Source(self.card, self.file, self.device)
            return ask(place.address, work, jobs.Wanted(place.number, place.seconds, source), *args)


def ask(address: bytes, work: Callable[..., Result], *args: object) -> Result:
    """Have a function run by the process at an address, and wait for what it returns.

    Raises:
        WorkerLostError: the process ended meanwhile, or there is none.
        UnforeseenError: the work raised what nobody expected.
    """
    try:
        connection = _take(address)
    except OSError:
        raise lost() from None
    try:
        send(connection, Job(work, args))
        outcome: Outcome = receive(connection)
    except (OSError, EOFError):
        connection.close()
        raise lost() from None
    except BaseException:
        connection.close()
        raise
    _idle.setdefault(address, deque()).append(connection)
    result: Result = outcome.result()
    return result


def disconnect(address: bytes) -> None:
    """Close the connections to an address that wait for the next question."""
    for connection in _idle.pop(address, ()):
        connection.close()


_idle: dict[bytes, deque[socket.socket]] = {}  # connections that wait for the next question


def _take(address: bytes) -> socket.socket:
    with suppress(IndexError, KeyError):
        while True:
            connection = _idle[address].pop()
            try:
                connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)  # nothing comes unasked but the end
            except BlockingIOError:
                return connection
            except OSError:
                pass
            connection.close()
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection
