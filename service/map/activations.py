"""The heatmaps of the pictures of a run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, Literal

import pyarrow as pa

from scs.errors import ScsError
from service.api.activations import ActivationOptions
from service.api.files import NamedBytes, Upload
from service.map.packages import needed_for
from service.map.pictures import Numbered, PictureTask
from service.map.run import writing
from service.map.task import ModelFile, Row, Step, as_ranked, failed, ranked
from service.settings import Settings
from service.tasks.activations.activate import Activations, SeenLayer, activate
from service.tasks.activations.answer import peaks_of, to_arrays, to_npz
from service.tasks.activations.choice import chosen_layers, count_channels
from service.tasks.activations.class_map import SeenClass, class_question

MapsForm = Literal["npz", "zarr"]

_FOLDER, _ZARR = "maps", "maps.zarr"
_IN_A_FOLDER = 1000  # files; more than that slow some file systems down
_PEAK = pa.struct([(name, pa.float64()) for name in ("x", "y", "width", "height", "score")])
_LAYER = pa.struct(
    [
        ("name", pa.string()),
        ("channels", pa.list_(pa.int32())),
        ("energies", pa.list_(pa.float64())),
        ("peaks", pa.list_(_PEAK)),
    ]
)
_CLASS_MAP = pa.struct(
    [("label", pa.string()), ("index", pa.int32()), ("method", pa.string()), ("logit", pa.float64())]
)


@dataclass(frozen=True)
class ActivationsTask(PictureTask):
    """The heatmaps of a network's layers, as ``scs activations`` makes them.

    Attributes:
        model: the network.
        of_bank: whether it is a bank of templates, which has scores in place of probabilities.
        template: what to look for in every layer, if anything.
        options: which layers, and how.
        settings: limits.
        folder: of the run.
        form: of the maps: an ``.npz`` for each picture, or a Zarr with a group for each.
    """

    model: ModelFile
    of_bank: bool
    template: NamedBytes | None
    options: ActivationOptions
    settings: Settings
    folder: Path
    form: MapsForm

    steps: ClassVar[tuple[Step, ...]] = ()

    @classmethod
    def of(
        cls, settings: Settings, template: NamedBytes | None, options: ActivationOptions, folder: Path, form: MapsForm
    ) -> ActivationsTask:
        """Make the task of a model that is in the repository.

        Raises:
            ModelError: its card cannot be read.
            UnknownNameError: there is no such model, layer, channel or class.
            OptionError: a class map that the model has not.
            MissingPackageError: Zarr is asked for and not installed.
        """
        if form == "zarr":
            with needed_for("Zarr"):
                import zarr  # noqa: F401
        model, card = ModelFile.find(settings, options.model, options.version)
        for layer in chosen_layers(card, options.layers):
            count_channels(options.channels, layer)
        class_question(card, options)
        return cls(model, card.bank is not None, template, options, settings, folder.absolute(), form)

    @property
    def columns(self) -> list[pa.Field]:
        """Size in pixels, the classes, the layers with their chosen channels, and where the maps are."""
        return [
            pa.field("width", pa.int32()),
            pa.field("height", pa.int32()),
            pa.field("classes", pa.list_(ranked(self.of_bank))),
            pa.field("layers", pa.list_(_LAYER)),
            pa.field("class_map", _CLASS_MAP),
            pa.field("maps", pa.string()),
        ]

    def describe(self) -> dict[str, Any]:
        """Return the model, the digest of the template, the options and the form of the maps."""
        return {
            "model": self.model.describe(),
            "template": None if self.template is None else sha256(self.template.content).hexdigest(),
            "options": self.options.model_dump(by_alias=True, exclude={"model", "version"}),
            "maps": self.form,
        }

    def answer(self, pictures: Sequence[Numbered]) -> Iterator[Row]:
        """Yield a row for each picture, once its maps are written.

        Raises:
            RunError: they cannot be written.
        """
        for number, file in pictures:
            try:
                seen = activate(
                    self.model.load(self.settings), Upload([file], self.template), self.options, self.settings
                )
            except ScsError as error:
                yield failed(number, file.name, error)
                continue
            with writing(self.folder):
                maps = self._write(number, seen)
            yield {"number": number, "name": file.name, "maps": maps, **_row(seen)}
            seen.close()

    def _write(self, number: int, seen: Activations) -> str:
        """Write the maps of a picture; return where they are in the run's folder."""
        if self.form == "zarr":
            return _write_zarr(self.folder, number, seen)
        path = f"{_FOLDER}/{number // _IN_A_FOLDER:06d}/{number:09d}.npz"
        whole = self.folder / path
        whole.parent.mkdir(parents=True, exist_ok=True)
        unfinished = whole.with_name(f".{whole.name}.{os.getpid()}.tmp")
        unfinished.write_bytes(to_npz(seen))
        os.replace(unfinished, whole)
        return path


def _write_zarr(folder: Path, number: int, seen: Activations) -> str:
    """Write the maps of a picture as a group of the run's Zarr; return where it is in the run's folder."""
    import zarr

    zarr.open_group(folder / _ZARR, mode="a")
    name = f"{number:09d}"
    group = zarr.open_group(folder / _ZARR / name, mode="w")
    for key, values in to_arrays(seen).items():
        group.create_array(key, data=values, chunks=tuple(max(1, side) for side in values.shape))
    return f"{_ZARR}/{name}"


def _row(seen: Activations) -> Row:
    """Return what the activations of a picture say, less the maps."""
    return {
        "width": seen.picture.width,
        "height": seen.picture.height,
        "classes": as_ranked(seen.classes),
        "layers": [_layer(layer, seen) for layer in seen.layers],
        "class_map": None if seen.class_map is None else _class_map(seen.class_map),
    }


def _layer(layer: SeenLayer, seen: Activations) -> Row:
    energies = dict(layer.energies)
    return {
        "name": layer.card.name,
        "channels": layer.chosen,
        "energies": [energies[channel] for channel in layer.chosen],
        "peaks": [] if layer.match is None else [each.model_dump() for each in peaks_of(layer.match, seen.picture)],
    }


def _class_map(seen: SeenClass) -> Row:
    return {name: getattr(seen, name) for name in ("label", "index", "method", "logit")}
