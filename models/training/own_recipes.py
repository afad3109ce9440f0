"""Training recipes for somebody's own pictures: SCS or convolution, small, medium or large."""

from __future__ import annotations

import math
from dataclasses import dataclass

from models.training.recipes import Recipe
from scs.errors import OptionError, UnknownNameError


@dataclass(frozen=True)
class OwnRecipe(Recipe):
    """Hyperparameters of a training on somebody's own pictures, or of one that starts from a trained network.

    ``width`` and ``height`` are those of the network's pictures; ``photographs`` says that random crops are taken and
    light and angle changed, in place of shifts; ``class_weights`` that rare classes count as much as frequent ones.
    ``start`` is the network that training starts from, its name and version, and none where it starts anew;
    ``start_sha256`` is of its file, ``frozen`` the last of its layers that are not trained: ``all`` or a layer's name.
    """

    width: int = 0
    height: int = 0
    photographs: bool = False
    class_weights: bool = True
    start: str = ""
    start_sha256: str = ""
    frozen: str = ""


@dataclass(frozen=True)
class Scale:
    """How large a network is: kernels of its stem, and blocks between one halving of the maps and the next."""

    width: int
    depth: int


SCALES = {"small": Scale(16, 1), "medium": Scale(32, 2), "large": Scale(64, 3)}
_LAST_MAPS = 7  # places on each side of the last maps, about: what a class is told by is as large as a seventh
_GROWTH = math.sqrt(2)  # of the number of kernels from stage to stage, while maps have a quarter of the places
_MEDIUM_FROM, _LARGE_FROM = 2_000, 20_000  # pictures to train on
_STEPS = 1_500  # of a training, about
_EPOCHS = (15, 120)  # least and most
_LEAST_PATIENCE, _PATIENCE = 10, 1 / 3  # of an early stop: epochs, and a share of all
_TUNING_BATCH, _TUNING_RATE, _TUNING_STEPS, _TUNING_EPOCHS = 32, 0.005, 300, (4, 20)
_LEARNING_RATES = {"scs": 0.02, "conv": 0.01}
FAMILIES = tuple(_LEARNING_RATES)
NAMES = [*FAMILIES, *(f"{family}-{scale}" for family in FAMILIES for scale in SCALES)]
MOST_WIDTH, MOST_DEPTH = 1024, 16
_STEM = 5
_WIDTHS_OF = 8  # kernels come in multiples of it


def own_recipe(
    name: str, data: str, pictures: int, size: tuple[int, int], width: int | None = None, depth: int | None = None
) -> OwnRecipe:
    """Choose the settings of a network, and of its training, by the amount of data and the size of its pictures.

    Args:
        name: ``scs`` or ``conv``, with ``-small``, ``-medium`` or ``-large`` where that is not to be chosen.
        data: their name.
        pictures: to train on.
        size: (width, height) of the network's pictures.
        width: kernels of the stem, in place of the scale's.
        depth: blocks between one halving of the maps and the next, in place of the scale's.

    Raises:
        UnknownNameError: no recipe has that name.
        OptionError: a width or depth that cannot be.
    """
    family, _, scale_name = name.partition("-")
    if name not in NAMES:
        raise UnknownNameError(f"a recipe is one of {', '.join(NAMES)}; '{name[:40]}' came")
    for what, value, most in (("--width", width, MOST_WIDTH), ("--depth", depth, MOST_DEPTH)):
        if value is not None and not 1 <= value <= most:
            raise OptionError(f"{what} is 1 to {most}; {value} came")
    scale = SCALES[scale_name or _scale_for(pictures)]
    kernels, blocks = width or scale.width, depth or scale.depth
    stages = max(1, round(math.log2(min(size) / _LAST_MAPS)))
    grown = [_rounded(kernels * _GROWTH**stage) for stage in range(1, stages + 1)]
    batch = batch_size(pictures)
    epochs = epochs_for(pictures, batch)
    return OwnRecipe(
        dataset=data,
        family=family,
        widths=(kernels, *(count for count in grown for _ in range(blocks))),
        stages=(blocks,) * stages,
        stem_size=_STEM,
        epochs=epochs,
        batch_size=batch,
        learning_rate=_LEARNING_RATES[family],
        label_smoothing=0.05,
        shift=max(1, min(size) // 8),
        patience=patience_for(epochs),
        width=size[0],
        height=size[1],
    )


def tuning_recipe(
    start: str, sha256: str, family: str, data: str, pictures: int, size: tuple[int, int], frozen: str
) -> OwnRecipe:
    """Choose the settings of a training that starts from a trained network.

    Args:
        start: the network's name and version.
        sha256: of its file.
        family: of its card.
        data: their name.
        pictures: to train on.
        size: (width, height) of the network's pictures.
        frozen: the last of its layers that is not trained, ``all`` or empty.
    """
    batch = min(_TUNING_BATCH, batch_size(pictures))
    epochs = epochs_for(pictures, batch, _TUNING_STEPS, _TUNING_EPOCHS)
    return OwnRecipe(
        dataset=data,
        family=family,
        widths=(),
        stages=(),
        epochs=epochs,
        batch_size=batch,
        learning_rate=_TUNING_RATE,
        label_smoothing=0.05,
        shift=max(1, min(size) // 8),
        patience=patience_for(epochs),
        width=size[0],
        height=size[1],
        start=start,
        start_sha256=sha256,
        frozen=frozen,
    )


def batch_size(pictures: int) -> int:
    """Return how many pictures make a batch: 64, and of few pictures so many that an epoch has four steps."""
    return max(1, min(64, pictures, max(8, pictures // 4)))


def epochs_for(pictures: int, batch: int, steps: int = _STEPS, least_and_most: tuple[int, int] = _EPOCHS) -> int:
    """Return for how many epochs to train: as many as give so many steps, but neither few nor very many."""
    least, most = least_and_most
    return min(max(math.ceil(steps * batch / pictures), least), most)


def patience_for(epochs: int) -> int:
    """Return after how many epochs without a lower loss to stop: a third of all, since the last ones improve most."""
    return max(_LEAST_PATIENCE, round(_PATIENCE * epochs))


def _scale_for(pictures: int) -> str:
    return "small" if pictures < _MEDIUM_FROM else "medium" if pictures < _LARGE_FROM else "large"


def _rounded(kernels: float) -> int:
    return max(_WIDTHS_OF, _WIDTHS_OF * round(kernels / _WIDTHS_OF))
