"""What whoever imports a network says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Wish:
    """What whoever imports a network says of it; None leaves a thing to be found.

    Attributes:
        labels: names of its classes.
        labels_from: where these are from, for the report.
        preprocess: as :func:`models.imports.preprocess.parse` reads it.
        size: width and height of its pictures.
        output: the one that has the classes.
        layers: names of tensors or modules to show.
    """

    labels: list[str] | None = None
    labels_from: str = ""
    preprocess: str | None = None
    size: tuple[int, int] | None = None
    output: str | None = None
    layers: Sequence[str] | None = None
