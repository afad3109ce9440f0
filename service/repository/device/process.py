"""The keeper of a device's process: starts it, and starts it again with all its models where it ended."""

from __future__ import annotations

import itertools
import logging
import socket
import threading
import time
import weakref
from contextlib import suppress
from dataclasses import replace
from queue import SimpleQueue
from typing import BinaryIO

from models.cards.card import ModelCard
from models.runtime.load import Device
from scs.errors import ModelError, ScsError, WorkerLostError
from service.repository.device import jobs
from service.repository.device.model import DeviceModel, Place, ask, disconnect
from service.workers.channel import OpenFile
from service.workers.job import Job, UnforeseenError
from service.workers.worker import OwnWorker, new_worker

_log = logging.getLogger(__name__)

_WAITING = 1024  # connections that wait while the process is started again
_LONG_S = 10.0  # a process that lived longer is started again at once
_LONGEST_PAUSE_S = 5.0


class DeviceProcess:
    """The process that has all sessions of a device, and one context there.

    A process that ends, whatever the cause, fails the runs that are under way. The next one has the same address, and
    whoever asks meanwhile waits for it.

    Args:
        device: which; ``cpu`` works too.
        load_s: seconds that loading a model may take.
        run_s: seconds that a run may take, where a model's card says nothing else.
    """

    def __init__(self, device: Device, load_s: float, run_s: float) -> None:
        self._device, self._load_s, self._run_s = device, load_s, run_s
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind("")  # Linux finds an address; it is in no file system, and gone with the last who has it
        self._listener.listen(_WAITING)
        self._address: bytes = self._listener.getsockname()
        self._numbers = itertools.count()
        self._models: weakref.WeakSet[DeviceModel] = weakref.WeakSet()
        self._lock = threading.Lock()  # guards the models and the worker
        self._worker: OwnWorker | None = None
        self._is_closed = False
        self._dropped: SimpleQueue[int | None] = SimpleQueue()
        for task in (self._keep_alive, self._drop):
            threading.Thread(target=task, name=f"process of {device}", daemon=True).start()

    def load(self, card: ModelCard, file: BinaryIO) -> DeviceModel:
        """Load a model there, and return what stands for it here; it is let go of there when that is gone.

        Raises:
            ModelError, MissingPackageError, DeviceError: it cannot be loaded, or not in time.
        """
        seconds = card.serving.timeout_s or self._run_s
        place, own = Place(self._address, self._device, next(self._numbers), seconds), OpenFile(file.fileno())
        try:
            kernels = ask(self._address, jobs.hold, self._loading(place.number, card, own))
        except (WorkerLostError, UnforeseenError) as error:
            raise ModelError(
                f"{card.name} {card.version} did not load on {self._device} within {self._load_s:g} seconds, or its "
                f"process ended: {error}"
            ) from None
        model = DeviceModel(card, own, replace(place, kernels=kernels))
        with self._lock:
            self._models.add(model)
        weakref.finalize(model, self._dropped.put, place.number).atexit = False
        return model

    def close(self) -> None:
        """End the process, for good."""
        with self._lock:
            self._is_closed = True
            worker = self._worker
        if worker is not None:
            worker.kill()
        self._dropped.put(None)
        self._listener.close()
        disconnect(self._address)

    def _loading(self, number: int, card: ModelCard, file: OpenFile) -> jobs.Wanted:
        return jobs.Wanted(number, self._load_s, jobs.Source(card, file, self._device))

    def _keep_alive(self) -> None:
        pause = 0.0
        while not self._is_closed:
            started = time.monotonic()
            try:
                self._run()
            except ScsError as error:
                if not self._is_closed:
                    _log.error("the process of %s could not be started: %s", self._device, error)
            if self._is_closed:
                return
            lived = time.monotonic() - started
            pause = 0.0 if lived > _LONG_S else min(_LONGEST_PAUSE_S, 2 * pause + 0.1)
            _log.error("the process of %s ended; it is started again", self._device)
            time.sleep(pause)

    def _run(self) -> None:
        """Start the process, load its models, and wait for its end."""
        worker = new_worker()
        try:
            with self._lock:
                if self._is_closed:
                    return
                self._worker, models = worker, list(self._models)
            for model in models:
                wanted = self._loading(model.place.number, model.card, model.file)
                outcome = worker.do(Job(jobs.hold, (wanted,)))
                if outcome is None:
                    return
                if outcome.error or outcome.traceback:
                    _log.error("%s %d was not loaded again", model.card.name, model.card.version)
            worker.do(Job(jobs.serve, (OpenFile(self._listener.fileno()),)))
        finally:
            with self._lock:
                self._worker = None
            worker.end()

    def _drop(self) -> None:
        while (number := self._dropped.get()) is not None:
            with suppress(WorkerLostError):  # the next process does not have it
                ask(self._address, jobs.drop, number)
