"""Feature maps of a picture that were kept, and their reading, and making, in a worker process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.runtime.load import Array
from scs.errors import NotFiniteError
from service.pictures.picture import Picture, Region
from service.repository.loader import LoadedModel
from service.workers.shared_arrays import SharedArrays

_LOGITS = "logits"


@dataclass(frozen=True)
class View:
    """What a network saw of a picture: the size it was brought to (width, height), and which part that is."""

    size: tuple[int, int]
    region: Region

    @classmethod
    def of(cls, picture: Picture) -> View:
        """Return what a network sees of a decoded picture."""
        height, width = picture.pixels.shape[:2]
        return cls((width, height), picture.region)


@dataclass(frozen=True, eq=False)
class KeptMaps:
    """Feature maps ``(C, H, W)`` of one picture by the names of their layers, and its logits.

    Attributes:
        digest: of the picture's bytes.
        view: what the network saw of it.
        maps: arrays that processes share.
    """

    digest: str
    view: View
    maps: SharedArrays


class MapReader:
    """Feature maps of pictures: read where they were kept, else made by running the network.

    Args:
        model: the network.
        kept: maps of earlier runs.
        most_bytes: of new maps that are worth keeping, of one picture; 0 keeps none.

    Attributes:
        made: the new ones that are to be kept.
    """

    def __init__(self, model: LoadedModel, kept: Sequence[KeptMaps] = (), most_bytes: int = 0) -> None:
        self._model, self._kept, self._most = model, kept, most_bytes
        self.made: list[KeptMaps] = []

    def read(self, picture: Picture, layers: Sequence[str], digest: str | None = None) -> dict[str, Array]:
        """Return the maps ``(C, H, W)`` of layers for one picture, and its ``logits``; all of them are finite.

        Args:
            picture: as the network takes it.
            layers: their names.
            digest: of the picture's bytes; without it nothing is kept.

        Raises:
            NotFiniteError: the network gave numbers that are not finite.
        """
        view = View.of(picture)
        found: dict[str, Array] = {}
        for each in (*self._kept, *self.made):
            if each.digest == digest and each.view == view:
                found.update({name: each.maps.read(name) for name in each.maps.places if name not in found})
        missing = [name for name in layers if name not in found]
        if missing or _LOGITS not in found:
            made = self._run(picture, missing)
            self._keep(digest, view, made)
            found.update(made)
        return {name: found[name] for name in (_LOGITS, *layers)}

    def _run(self, picture: Picture, layers: Sequence[str]) -> dict[str, Array]:
        run = self._model.runtime.layers(picture.pixels[None], layers)
        found = {name: values[0] for name, values in run.items()}
        for name, values in found.items():
            if not np.isfinite(values.sum(dtype=np.float64)):  # without an array as large as the maps
                what = _LOGITS if name == _LOGITS else f"values of the layer '{name}'"
                named = f"{self._model.card.name} {self._model.card.version}"
                raise NotFiniteError(f"{named} gave {what} that are not finite (NaN or infinite) for this image")
        return found

    def _keep(self, digest: str | None, view: View, made: Mapping[str, Array]) -> None:
        """Keep what there is room for, small maps first: those of deep layers, which take the longest to make."""
        if digest is None or self._most == 0:
            return
        left, worth = self._most, {}
        for name, values in sorted(made.items(), key=lambda item: item[1].nbytes):
            left -= values.nbytes
            if left < 0:
                break
            worth[name] = values
        self.made.append(KeptMaps(digest, view, SharedArrays.write(worth)))
