"""What the process of a device does: keep models loaded, and run them for whoever connects."""

from __future__ import annotations

import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

from models.cards.card import ModelCard
from models.cards.catalogue import verified
from models.onnx import native
from models.runtime.load import Array, Device, Images, RunnableModel
from scs.errors import ScsError
from service.repository.loader import load_and_warm_up
from service.workers.channel import OpenFile
from service.workers.child import answer_next

_WATCH_S = 0.25
_CREDENTIALS = struct.Struct("3i")  # process, user and group of the other side


class NotHeldError(ScsError):
    """A model that the process does not have; whoever asks for it has to send where it is loaded from."""


@dataclass(frozen=True)
class Source:
    """What a model is loaded from: its card, its open file, and the device that it is loaded on."""

    card: ModelCard
    file: OpenFile
    device: Device


@dataclass(frozen=True)
class Wanted:
    """A model, as a message to the process of a device names it.

    Attributes:
        number: by which the process knows it.
        seconds: that loading it or a run may take; then the whole process ends, and is started anew.
        source: what it is loaded from where the process does not have it. Most messages go without: it takes a
            millisecond.
    """

    number: int
    seconds: float
    source: Source | None = None


_held: dict[int, RunnableModel] = {}
_dropped: set[int] = set()  # not to be kept again for whoever was still on the way with them
_over: dict[object, float] = {}  # when each thing under way has to be ready, on the clock of time.monotonic


def hold(wanted: Wanted) -> native.Kernels | None:
    """Load a model and keep it; return what runs its SCS layers."""
    with _watched(wanted.seconds):
        return _runtime(wanted).kernels


def drop(number: int) -> None:
    """Let go of a model."""
    _dropped.add(number)
    _held.pop(number, None)


def run_logits(wanted: Wanted, images: Images) -> Array:
    """Return the logits ``(N, classes)`` of images ``(N, H, W, C)``."""
    with _watched(wanted.seconds):
        return _runtime(wanted).logits(images)


def run_layers(wanted: Wanted, images: Images, names: Sequence[str]) -> dict[str, Array]:
    """Return the logits under the name ``logits``, and the maps ``(N, K, H', W')`` of the layers named."""
    with _watched(wanted.seconds):
        return _runtime(wanted).layers(images, names)


def serve(listening: OpenFile) -> None:
    """Answer whoever connects to a listening socket, each on a thread, for as long as the process lives."""
    listener = socket.socket(fileno=os.dup(listening.descriptor))
    listening.close()
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_serve_one, args=[connection], name="device", daemon=True).start()


def _runtime(wanted: Wanted) -> RunnableModel:
    """Return a model, loaded where it is not; closes its file."""
    source, runtime = wanted.source, _held.get(wanted.number)
    if source is None:
        if runtime is None:
            raise NotHeldError(f"model {wanted.number} is not loaded")
        return runtime
    try:
        if runtime is None:
            runtime = load_and_warm_up(verified(source.file.read(), source.card), source.card, source.device)
            if wanted.number not in _dropped:
                _held[wanted.number] = runtime
        return runtime
    finally:
        source.file.close()


def _serve_one(connection: socket.socket) -> None:
    with connection:
        # Anybody on the machine can connect to an address without a file; only this user's messages are unpickled.
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        _, user, _ = _CREDENTIALS.unpack(raw)
        while user == os.getuid() and answer_next(connection):
            pass


@contextmanager
def _watched(seconds: float) -> Iterator[None]:
    _start_watch()
    key = object()
    _over[key] = time.monotonic() + seconds
    try:
        yield
    finally:
        del _over[key]


@cache
def _start_watch() -> None:
    threading.Thread(target=_end_when_over, name="watch", daemon=True).start()


def _end_when_over() -> None:
    """End this process once something under way takes longer than it may: nothing else stops a run on a device."""
    while all(time.monotonic() < over for over in list(_over.values())):
        time.sleep(_WATCH_S)
    os.kill(os.getpid(), signal.SIGKILL)
