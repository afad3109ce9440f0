"""A training on somebody's own pictures, prepared: its recipe, its data, and the network that it begins with."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from models.cards import catalogue
from models.cards.card import NAME_PATTERN, InputCard
from models.datasets.dataset import Dataset
from models.datasets.decoded import Mode, Wish, enlarged
from models.datasets.labelled import LabelledPictures
from models.datasets.own import open_own
from models.datasets.published import DATASETS
from models.datasets.splits import split_pictures
from models.training.fine_tuned import Start, build_fine_tuned
from models.training.own_recipes import OwnRecipe, own_recipe, tuning_recipe
from models.training.recipes import Recipe
from models.training.runs import Trainable
from models.training.train import build_network
from scs.errors import OptionError
from service.cli.own_data import choose, decoded
from service.settings import Settings

Build = Callable[[Recipe, Dataset], Trainable]


@dataclass(frozen=True)
class Asked:
    """What was asked for of a training on one's own pictures; None leaves a thing to be chosen."""

    recipe: str | None = None
    size: tuple[int, int] | None = None
    width: int | None = None
    depth: int | None = None
    resize: Mode | None = None
    mirror: bool | None = None
    split_seed: int = 0
    skip_broken: bool = False
    start: str | None = field(default=None, metadata={"option": "from"})
    freeze: str | None = None

    def refuse_for(self, name: str) -> None:
        """Refuse all of it for a data set that is published, whose recipe is fixed.

        Raises:
            OptionError: something was asked for.
        """
        for each in fields(self):
            if getattr(self, each.name) != each.default:
                option = each.metadata.get("option", each.name).replace("_", "-")
                raise OptionError(f"--{option} is for your own pictures; {name} has a recipe: give yours another name")


@dataclass(frozen=True)
class Prepared:
    """What a training needs."""

    recipe: Recipe
    dataset: Dataset
    build: Build = build_network

    def sentence(self) -> str:
        """Say what was found and chosen of somebody's own pictures; nothing of a data set that is published."""
        data, recipe = self.dataset, self.recipe
        if data.own is None or data.validation_labels is None or not isinstance(recipe, OwnRecipe):
            return ""
        counts = [len(labels) for labels in (data.train_labels, data.validation_labels, data.test_labels)]
        how = data.own.geometry.mode if data.own.geometry else "as they are"
        left_out = f"; {len(data.own.left_out)} left out" if data.own.left_out else ""
        network = f"from {recipe.start}" if recipe.start else f"{recipe.family} of {recipe.widths[0]} kernels and more"
        return (
            f"{data.name}: {len(data.classes)} classes, {counts[0]:,} pictures to train on, {counts[1]:,} held back, "
            f"{counts[2]:,} to test on{left_out}; {recipe.width}x{recipe.height}, {how}; {network}"
        )


def prepare(name: str, path: Path, asked: Asked, settings: Settings) -> Prepared:
    """Read somebody's own pictures, and choose how to train on them; nothing is written.

    Args:
        name: that the model shall have.
        path: of the pictures.
        asked: what is asked for.
        settings: limits of pictures, and the repository of networks to start from.

    Raises:
        OptionError: something that was asked for cannot be.
        DataError: something is wrong with the pictures.
        ModelError: the network to start from cannot be trained.
        UnknownNameError: a recipe, a network or a layer that there is not.
    """
    _check_name(name)
    if asked.start is None and asked.freeze is not None:
        raise OptionError("--freeze says which layers of the network --from names stay; that was not given")
    data = open_own(path)
    if asked.start is not None:
        return _from_start(data, asked.start, asked, settings)
    wanted = choose(data, Wish(asked.size, asked.resize), settings)
    count, size = _pictures_to_train(data, asked), (wanted.width, wanted.height)
    recipe = own_recipe(asked.recipe or "scs", data.name, count, size, asked.width, asked.depth)
    if min(size) < 2 ** len(recipe.stages):
        raise OptionError(f"a network needs {2 ** len(recipe.stages)} pixels a side; {size[0]}x{size[1]} came")
    return Prepared(_changed_by(recipe, wanted, asked), _decoded(data, wanted, asked, settings))


def _check_name(name: str) -> None:
    if not re.fullmatch(NAME_PATTERN, name):
        raise OptionError(f"a model's name is small letters, digits, '.', '_' and '-', up to 64; '{name[:80]}' came")
    if any(name == known or name.startswith(f"{known}-") for known in DATASETS):
        raise OptionError(f"'{name[:64]}' names another data set than yours; give your model another name")


def _pictures_to_train(data: LabelledPictures, asked: Asked) -> int:
    return len(split_pictures(data, asked.split_seed)[0]["train"])


def _decoded(data: LabelledPictures, wanted: InputCard, asked: Asked, settings: Settings) -> Dataset:
    return decoded(data, wanted, asked.split_seed, settings, skip_broken=asked.skip_broken)


def _changed_by(recipe: OwnRecipe, wanted: InputCard, asked: Asked) -> OwnRecipe:
    """Choose how pictures are changed: photographs are scaled and have colours."""
    photographs = wanted.geometry is not None
    mirror = photographs and wanted.channels == 3 if asked.mirror is None else asked.mirror
    return replace(recipe, photographs=photographs, mirror=mirror)


def _from_start(data: LabelledPictures, named: str, asked: Asked, settings: Settings) -> Prepared:
    if asked.recipe or asked.width or asked.depth or asked.resize:
        raise OptionError(
            "--from has a network's own layers and pictures; --recipe, --width, --depth, --resize are for new ones"
        )
    entry = catalogue.find(settings.model_repository, named, None)
    start = Start(entry.verified_bytes(), entry.card())
    card = start.card
    wanted = _resized(card.input, asked.size, card.name)
    frozen = asked.freeze or ""
    start.tensor_frozen(frozen)  # says at once that there is no such layer
    called = f"{card.name} {card.version}"
    count, size = _pictures_to_train(data, asked), (wanted.width, wanted.height)
    recipe = tuning_recipe(called, card.sha256, card.family, data.name, count, size, frozen)
    dataset = _decoded(data, wanted, asked, settings)
    return Prepared(
        _changed_by(recipe, wanted, asked), dataset, lambda recipe, dataset: build_fine_tuned(start, frozen, dataset)
    )


def _resized(wanted: InputCard, size: tuple[int, int] | None, name: str) -> InputCard:
    """Return the input of a network at another size, where it takes that."""
    wanted = wanted.model_copy(update={"resize": True})
    if size is None or size == (wanted.width, wanted.height):
        return wanted
    least = wanted.smallest_size
    if wanted.fixed:
        raise OptionError(f"{name} takes pictures of {wanted.width}x{wanted.height} only; {size[0]}x{size[1]} came")
    if size[0] < least[0] or size[1] < least[1] or size[0] % wanted.multiple_of or size[1] % wanted.multiple_of:
        raise OptionError(
            f"{name} takes pictures from {least[0]}x{least[1]} in multiples of {wanted.multiple_of}; "
            f"{size[0]}x{size[1]} came"
        )
    larger = enlarged(wanted, min(size) / min(wanted.width, wanted.height))
    return larger.model_copy(update={"width": size[0], "height": size[1]})
