"""How each bundled model is trained: ``NAME`` is a data set and a family, as in ``cifar10-scs``."""

from __future__ import annotations

from dataclasses import dataclass

from scs.errors import UnknownNameError


@dataclass(frozen=True)
class Recipe:
    """Everything that a training depends on, besides the images and the seed.

    ``widths`` are the kernels of the stem and of each block; ``shift`` is in pixels; ``learning_rate`` is the highest
    of the one-cycle schedule; ``weight_decay`` applies to kernels and the head, not to p, q, gains and biases.
    """

    dataset: str
    family: str
    widths: tuple[int, ...]
    epochs: int
    batch_size: int = 64
    learning_rate: float = 0.01
    weight_decay: float = 0.01
    shift: int = 2
    mirror: bool = False


_DATASETS = {
    "mnist": {"widths": (24, 48, 96, 192), "epochs": 6},
    "fashion-mnist": {"widths": (24, 48, 96, 192), "epochs": 12, "mirror": True},
    "cifar10": {"widths": (32, 64, 128, 288), "epochs": 12, "shift": 3, "mirror": True},
}
_FAMILIES = ("scs", "conv")

RECIPES = {
    f"{dataset}-{family}": Recipe(dataset=dataset, family=family, **settings)  # type: ignore[arg-type]
    for dataset, settings in _DATASETS.items()
    for family in _FAMILIES
}


def recipe_for(name: str) -> Recipe:
    """The recipe of a bundled model.

    Raises:
        UnknownNameError: no recipe has that name.
    """
    if name not in RECIPES:
        raise UnknownNameError(f"a model to train is one of {', '.join(RECIPES)}; '{name}' came")
    return RECIPES[name]
