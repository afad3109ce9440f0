"""A model on its way to a worker process, and the models that a worker has loaded."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from dataclasses import dataclass

from models.cards.card import ModelCard
from models.cards.catalogue import verified
from models.runtime.load import RunnableModel
from scs.errors import ModelError
from service.memory_budget import memory_limit
from service.repository.device.model import DeviceModel, Place
from service.repository.loader import LoadedModel, load_tried
from service.workers.channel import OpenFile

_MOST_KEPT = 4  # models of a worker; the one that was not asked for longest goes first
_MOST_KEPT_BYTES = max(2**26, memory_limit() // 64)  # of their files; each worker holds its own, beside the service


@dataclass(frozen=True)
class SentModel:
    """A model as it is sent to a worker: its card, its open file, and where it runs, if that is not the worker."""

    card: ModelCard
    file: OpenFile
    place: Place | None = None

    @classmethod
    def of(cls, model: LoadedModel) -> SentModel:
        """Return what is sent for a model.

        Raises:
            ModelError: it has no file.
        """
        if model.file is None:
            raise ModelError(f"{model.card.name} {model.card.version} has no file that a worker could load")
        place = model.runtime.place if isinstance(model.runtime, DeviceModel) else None
        return cls(model.card, OpenFile(model.file.fileno()), place)

    def content(self) -> bytes:
        """Read the file, check its SHA-256, and close it; to be called once, where the model has arrived.

        Raises:
            ModelError: the file has changed since it was opened.
        """
        try:
            return verified(self.file.read(), self.card)
        finally:
            self.file.close()

    def loaded(self) -> LoadedModel:
        """Return the model, or what stands for it; closes the file.

        It is loaded in this process once, and kept for later unless it is large.

        Raises:
            ModelError, MissingPackageError: it cannot be loaded.
        """
        if self.place is not None:
            model = DeviceModel(self.card, self.file, self.place)
            weakref.finalize(model, self.file.close)
            return LoadedModel(self.card, model)
        key = self.card.sha256, self.card.model_dump_json()
        kept = _loaded.pop(key, None)
        if kept is not None:
            self.file.close()
            _loaded[key] = kept
            return LoadedModel(self.card, kept.runtime)
        content = self.content()
        runtime = load_tried(content, self.card, "cpu")
        if len(content) <= _MOST_KEPT_BYTES:
            _keep(key, _Kept(runtime, len(content)))
        return LoadedModel(self.card, runtime)


@dataclass(frozen=True)
class _Kept:
    runtime: RunnableModel
    size: int  # of its file, in bytes


_loaded: OrderedDict[tuple[str, str], _Kept] = OrderedDict()


def _keep(key: tuple[str, str], model: _Kept) -> None:
    while len(_loaded) >= _MOST_KEPT or sum(each.size for each in _loaded.values()) + model.size > _MOST_KEPT_BYTES:
        _loaded.popitem(last=False)
    _loaded[key] = model
