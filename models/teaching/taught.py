"""The pictures that a model was taught: their features, classes and digests, kept beside it to be added to."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from scs.errors import ModelError

NONE = "none of these"  # the class of all that was not taught
FILE = "taught.npz"

Features = NDArray[np.floating]  # (N, channels)
Views = NDArray[np.float32]  # (N, P, channels): the mean of a picture's features, or all of them
Labels = NDArray[np.int64]  # (N,), indices of classes; -1 for pictures of other things


@dataclass(frozen=True, eq=False)
class Taught:
    """Pictures by their features.

    Attributes:
        views: ``(N, P, channels)``, what is compared of each picture: the mean of a layer's maps, P = 1, or its places.
        labels: ``(N,)``, indices into ``classes``; -1 for pictures of other things, which only set the threshold.
        classes: their names.
        names: of the pictures.
        digests: SHA-256 of each file.
    """

    views: Views
    labels: Labels
    classes: tuple[str, ...]
    names: tuple[str, ...]
    digests: tuple[str, ...]

    @property
    def features(self) -> Features:
        """The mean ``(N, channels)`` of each picture."""
        means: Features = self.views.mean(1)
        return means

    @property
    def of_classes(self) -> Taught:
        """The pictures of the classes."""
        return self.part(self.labels >= 0)

    @property
    def others(self) -> Views:
        """What is compared of the pictures of other things."""
        return self.views[self.labels < 0]

    def counts(self) -> list[int]:
        """Return the number of pictures of each class."""
        return [int((self.labels == label).sum()) for label in range(len(self.classes))]

    def part(self, chosen: NDArray[np.bool_]) -> Taught:
        """Return some of the pictures, with all classes."""
        numbers = np.flatnonzero(chosen)
        return Taught(
            self.views[numbers],
            self.labels[numbers],
            self.classes,
            tuple(self.names[i] for i in numbers),
            tuple(self.digests[i] for i in numbers),
        )

    def and_more(self, more: Taught) -> Taught:
        """Return these pictures and others; new classes come after those that there are."""
        classes = [*self.classes, *(name for name in more.classes if name not in self.classes)]
        index = np.array([*(classes.index(name) for name in more.classes), -1], np.int64)
        return Taught(
            np.concatenate([self.views, more.views]),
            np.concatenate([self.labels, index[more.labels]]),
            tuple(classes),
            self.names + more.names,
            self.digests + more.digests,
        )

    def to_bytes(self) -> bytes:
        """Return them as an ``.npz`` file of plain arrays."""
        written = io.BytesIO()
        np.savez(
            written,
            views=self.views,
            labels=self.labels,
            classes=_text(self.classes),
            names=_text(self.names),
            digests=_text(self.digests),
        )
        return written.getvalue()


def _text(words: Sequence[str]) -> NDArray[np.str_]:
    return np.array(words, np.str_)


def read_taught(content: bytes) -> Taught:
    """Read what :meth:`Taught.to_bytes` wrote.

    Raises:
        ModelError: it is something else.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            words = (tuple(arrays[key].tolist()) for key in ("classes", "names", "digests"))
            views = arrays["views"] if "views" in arrays else arrays["features"][:, None]  # as it was first written
            return Taught(views, arrays["labels"], *words)
    except (OSError, EOFError, KeyError, ValueError, BadZipFile) as error:
        raise ModelError(f"{FILE} needs the features of the pictures that were taught; it cannot be read") from error
