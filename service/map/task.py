"""What is done with the pictures of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Protocol

import pyarrow as pa

from models.cards import catalogue
from models.cards.card import ModelCard
from models.runtime.load import choose_device
from scs.errors import ModelError
from service.api.ranking import Ranking
from service.map.listed import Listed
from service.map.run import Run
from service.repository.loader import LoadedModel, load_entry
from service.settings import Settings

Row = dict[str, Any]
Step = Callable[[], object]


class Task(Protocol):
    """What is done with the pictures of a run, in whichever process it is unpickled."""

    steps: ClassVar[tuple[Step, ...]]  # done once, before processes are forked

    @property
    def columns(self) -> list[pa.Field]:
        """What a row has beside its ``number``, ``name`` and ``error``."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return what another run has to agree in to go on with this one, as JSON has it."""
        ...

    def listed(self, inputs: Iterable[str], names: BinaryIO, leave_out: Path) -> Iterator[Listed]:
        """Yield what inputs stand for; see :func:`service.map.inputs.find.find`."""
        ...

    def rows(self, listed: Iterable[tuple[int, Listed]]) -> Iterator[Row]:
        """Yield a row for each that is listed with its number; of one that failed, by :func:`failed`."""
        ...

    def finish(self, run: Run) -> None:
        """Write what is made of all rows, where that is not there yet."""
        ...


def schema_of(task: Task) -> pa.Schema:
    """Return the columns of a run's rows."""
    return pa.schema([("number", pa.int64()), ("name", pa.string()), *task.columns, ("error", pa.string())])


def ranked(of_bank: bool) -> pa.StructType:
    """Return the type of a class with its probability, or of a template of a bank with its score."""
    return pa.struct(
        [("label", pa.string()), ("index", pa.int32()), ("score" if of_bank else "probability", pa.float64())]
    )


def as_ranked(ranking: Ranking) -> list[Row]:
    """Return classes as a row has them; ``dataclasses.asdict`` takes as long as a small picture's network."""
    return [{name: getattr(each, name) for name in each.__slots__} for each in ranking]


def failed(number: int, name: str, error: Exception | str) -> Row:
    """Return the row of a picture that there is no answer for."""
    return {"number": number, "name": name, "error": str(error)}


@dataclass(frozen=True)
class ModelFile:
    """A version of a model on disk, which every process that works on a run loads for itself.

    Attributes:
        repository: folder of models.
        name: of the model.
        version: its number.
        sha256: of the file that the run began with.
    """

    repository: Path
    name: str
    version: int
    sha256: str

    @classmethod
    def find(cls, settings: Settings, name: str | None, version: str | None) -> tuple[ModelFile, ModelCard]:
        """Find a model by its name and version, the default one unless named; return its card, too.

        Raises:
            UnknownNameError, ModelError: there is none, or its card cannot be read.
        """
        entry = catalogue.find(settings.model_repository, name or settings.default_model, version)
        card = entry.card()
        return cls(entry.repository.absolute(), entry.name, entry.version, card.sha256), card

    def describe(self) -> dict[str, Any]:
        """Return what tells it from another."""
        return {"name": self.name, "version": self.version, "sha256": self.sha256}

    def load(self, settings: Settings) -> LoadedModel:
        """Load it, once in a process.

        Raises:
            ModelError: it is not the one that the run began with, or cannot be loaded.
        """
        return _load(self, settings.device, settings.allow_torchscript)


@lru_cache(1)
def _load(model: ModelFile, device: Any, allow_torchscript: bool) -> LoadedModel:
    entry = catalogue.find(model.repository, model.name, model.version)
    loaded = load_entry(entry, choose_device(device), allow_torchscript)
    if loaded.card.sha256 != model.sha256:
        raise ModelError(f"{model.name} {model.version} is another file than the one that this run began with")
    return loaded
