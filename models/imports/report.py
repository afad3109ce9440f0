"""What an import found out, for people and for programs."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Finding(BaseModel):
    """One thing that was found out, and from what."""

    what: str
    found: str
    source: str = Field(description="What said so, or how it was tried.")


class Rank(BaseModel):
    """How the class of an example fares under some preprocessing."""

    preprocess: str
    rank: int = Field(description="1 is first.")
    probability: float


class ExampleReport(BaseModel):
    """What the network says of an example whose class was given."""

    picture: str
    label: str
    said: str = Field(description="The class that the network puts first.")
    ranks: list[Rank] = Field(description="The preprocessing in use first, then others for comparison.")


class ImportReport(BaseModel):
    """What an import found, what it assumed, and how the imported network agrees with the original."""

    name: str
    version: int
    file: str
    findings: list[Finding]
    assumed: list[str]
    class_map: str = Field(description="`exact`, or why there is none.")
    difference: float = Field(description="Largest between its answers and the original's, of their range.")
    same_top_class: bool | None = Field(description="On every picture compared; null without classes.")
    class_map_difference: float | None = Field(
        None, description="Largest between a map's mean and its logit, likewise."
    )
    pictures: int = Field(description="That were compared: noise, and the examples.")
    milliseconds: float = Field(description="A picture, on this machine, all cores.")
    model_bytes: int
    memory_bytes: int | None = Field(description="Resident memory that loading took here; null where that is unknown.")
    examples: list[ExampleReport] = []
    verdict: str = Field("", description="Whether the examples confirm the preprocessing.")
