"""The options of every question, as keywords, checked by the schemas of the service before anything is sent."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypedDict, TypeVar

from pydantic import BaseModel, ValidationError

from models.explain.methods import Method
from scs.errors import OptionError

Words: TypeAlias = str | Sequence[str]
Numbers: TypeAlias = str | float | Sequence[float]  # "auto" and "start:stop:step" are texts
Box: TypeAlias = str | Sequence[int]  # x, y, width, height in pixels

Options = TypeVar("Options", bound=BaseModel)

# Of the service, which the client sets itself, or has no use for: pictures are drawn here, all are answered or none.
_ITS_OWN = frozenset({"picture", "overlay", "partial"})


class ModelChoices(TypedDict, total=False):
    """Options that choose the model that answers."""

    model: str | None
    version: str | int | None


class PredictChoices(ModelChoices, total=False):
    """Options of ``predict``; see :class:`service.api.predict.PredictOptions`."""

    top_k: int
    resize: str | int


class ActivationChoices(ModelChoices, total=False):
    """Options of ``activations``, ``class_`` its ``class``; see :class:`service.api.activations.ActivationOptions`."""

    resize: str | int | None
    layers: Words
    channels: str | int | Sequence[int]
    class_: str | int | None
    method: Method | None
    class_layer: str | None
    box: Box | None
    peaks: int
    inputs: bool


class MatchChoices(ModelChoices, total=False):
    """Options of ``match``; see :class:`service.api.match.MatchOptions`."""

    method: str
    layer: Words | None
    p: float
    q: float
    angles: Numbers | None
    scales: Numbers | None
    top: int
    threshold: float | None
    overlap: float
    polarity: Literal["same", "either"]
    border: Literal["whole", "partial"]
    region: Box | None
    box: Box | None


def checked(kind: type[Options], choices: Mapping[str, Any]) -> Options:
    """Return options as the service takes them: sequences as lists with commas.

    Raises:
        OptionError: one that there is not, or a value that breaks its rules.
    """
    fields = {
        field.alias or name: field.annotation for name, field in kind.model_fields.items() if name not in _ITS_OWN
    }
    values = {name.removesuffix("_"): value for name, value in choices.items() if value is not None}
    texts = {name: _text(value) if _takes_text(fields.get(name)) else value for name, value in values.items()}
    unknown = next((name for name in values if name not in fields), None)
    if unknown is not None:
        raise OptionError(f"there is no option {unknown}; there are: {', '.join(fields)}")
    try:
        return kind.model_validate(texts)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(map(str, first["loc"]))
        raise OptionError(f"{name}: {first['msg'].lower()}; '{str(first['input'])[:60]}' came") from None


def _takes_text(annotation: Any) -> bool:
    return annotation in (str, str | None)


def _text(value: Any) -> str:
    if isinstance(value, (str, os.PathLike)) or not hasattr(value, "__iter__"):
        return str(value)
    return ",".join(str(each) for each in value)
