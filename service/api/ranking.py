"""The best classes of a picture, and the time spent on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, Field


class Timing(BaseModel):
    """Time spent on a request, in milliseconds."""

    decode_ms: float
    inference_ms: float


@dataclass(frozen=True, slots=True)
class ClassProbability:
    """A class and the probability that the model gives it."""

    label: str
    index: int
    probability: Annotated[float, Field(ge=0, le=1)]

    @property
    def shown(self) -> str:
        """The probability as a percentage, for people to read."""
        return f"{self.probability:.1%}"


@dataclass(frozen=True, slots=True)
class TemplateScore:
    """A template of a bank and its best score anywhere in the picture: a similarity, not a probability."""

    label: str
    index: int
    score: Annotated[float, Field(ge=-1, le=1)]

    @property
    def shown(self) -> str:
        """The score with three decimals, for people to read."""
        return f"{self.score:.3f}"


Ranked = ClassProbability | TemplateScore

Ranking = Annotated[
    list[ClassProbability] | list[TemplateScore],
    Field(description="Classes, most probable first; of a bank, templates, the best score first."),
]
