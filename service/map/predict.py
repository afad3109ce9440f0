"""The classes of the pictures of a run."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from typing import Any, ClassVar

import pyarrow as pa

from scs.errors import OptionError, ScsError
from service.api.files import Upload
from service.api.predict import PredictOptions
from service.map.pictures import Numbered, PictureTask
from service.map.task import ModelFile, Row, Step, as_ranked, failed, ranked
from service.settings import Settings
from service.tasks.local import LocalPredictor


@dataclass(frozen=True)
class PredictTask(PictureTask):
    """The classification of pictures, as ``scs predict`` does it.

    Attributes:
        model: that classifies.
        of_bank: whether that is a bank of templates, which has scores in place of probabilities.
        options: how.
        settings: limits.
    """

    model: ModelFile
    of_bank: bool
    options: PredictOptions
    settings: Settings

    steps: ClassVar[tuple[Step, ...]] = ()

    @classmethod
    def of(cls, settings: Settings, options: PredictOptions) -> PredictTask:
        """Make the task of a model that is in the repository.

        Raises:
            UnknownNameError, ModelError: there is none, or its card cannot be read.
            OptionError: it has no classes.
        """
        model, card = ModelFile.find(settings, options.model, options.version)
        if not card.labels:
            raise OptionError(f"{card.name} has no classes: map its layers by scs map activations")
        return cls(model, card.bank is not None, options, settings)

    @property
    def columns(self) -> list[pa.Field]:
        """Size in pixels, the best class, and all that were asked for, best first."""
        value = "score" if self.of_bank else "probability"
        return [
            pa.field("width", pa.int32()),
            pa.field("height", pa.int32()),
            pa.field("label", pa.string()),
            pa.field(value, pa.float64()),
            pa.field("classes", pa.list_(ranked(self.of_bank))),
        ]

    def describe(self) -> dict[str, Any]:
        """Return the model and the options."""
        return {"model": self.model.describe(), "options": self.options.model_dump(exclude={"model", "version"})}

    def answer(self, pictures: Sequence[Numbered]) -> Iterator[Row]:
        """Yield a row for each picture, and for each of an array of several."""
        arrays = [[each] for each in pictures if each.file.is_npy]
        for group in filter(None, [[each for each in pictures if not each.file.is_npy], *arrays]):
            yield from self._rows(group)

    def _rows(self, group: list[Numbered]) -> Iterator[Row]:
        try:
            answer = self._predictor.predict(
                self.model.load(self.settings), Upload([each.file for each in group]), self.options
            )
        except ScsError as error:
            if len(group) == 1:
                yield failed(group[0].number, group[0].file.name, error)
                return
            for each in group:  # one of them failed it for the others
                yield from self._rows([each])
            return
        unread = {failure["number"] - 1: failure["detail"] for failure in answer["failures"]}
        for place, why in unread.items():
            yield failed(group[place].number, group[place].file.name, why)
        read = [each for place, each in enumerate(group) if place not in unread]
        for each, found in zip(repeat(group[0]) if group[0].file.is_npy else read, answer["predictions"], strict=False):
            yield self._row(each.number, found)

    def _row(self, number: int, found: dict[str, Any]) -> Row:
        classes = as_ranked(found["classes"])
        return {**found, **(classes[0] if classes else {}), "number": number, "classes": classes, "error": None}

    @cached_property
    def _predictor(self) -> LocalPredictor:
        predictor = LocalPredictor(self.settings)
        weakref.finalize(self, predictor.close)
        return predictor
