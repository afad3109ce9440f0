"""Training recipes of the bundled models, named by data set, family and size: ``cifar10-scs-large``.

The suffix ``-blurred`` names the same network with a blur before maps are halved.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from models.normalisation import Normalise
from models.style import Activation, Pooling, Style
from scs.errors import UnknownNameError


@dataclass(frozen=True)
class Recipe:
    """Hyperparameters: everything that a training depends on, besides the images and the seed.

    ``widths`` are the kernels of the stem and of each block, ``stages`` the blocks between one halving of the maps and
    the next, ``opening`` the blocks before the first, ``stem_size`` the pixels on each side of the stem's kernels;
    ``pooling``, ``blur``, ``activation`` and ``lean`` are the network's style (:class:`models.style.Style`);
    ``shift`` is in pixels; ``learning_rate`` is the highest of the one-cycle schedule; ``beta2`` is how much of its
    mean of squared gradients Adam keeps at a step; ``weight_decay`` applies to kernels and the head, not to p, q and
    biases; ``patience`` is how many epochs training goes on without a lower loss on the images held back, 0 to never
    stop early; ``normalise`` is how each picture is normalised before the network (:mod:`models.normalisation`).

    What was added later has a default that is what trainings did before.
    """

    dataset: str
    family: str
    widths: tuple[int, ...]
    stages: tuple[int, ...]
    epochs: int
    opening: int = 0
    stem_size: int = 3
    batch_size: int = 128
    learning_rate: float = 0.01
    beta2: float = 0.999
    weight_decay: float = 0.01
    label_smoothing: float = 0.0
    shift: int = 2
    mirror: bool = False
    pooling: Pooling = "largest"
    blur: bool = False
    activation: Activation = "relu"
    lean: bool = False
    normalise: Normalise = "none"
    patience: int = 0

    @property
    def style(self) -> Style:
        """What the network may differ in from others of its family."""
        return Style(self.pooling, self.blur, self.activation, self.lean)


_MNIST = {"batch_size": 64, "shift": 1, "learning_rate": 0.02}
_LEAN = {"beta2": 0.99, "weight_decay": 0.0, "pooling": "mean", "activation": "prelu", "lean": True}
_CIFAR10 = {"stem_size": 5, "label_smoothing": 0.05, "shift": 4, "mirror": True}
_SIZES: dict[tuple[str, str], dict[str, Any]] = {
    ("mnist", ""): {"widths": (8, 8, 12, 12, 14), "stages": (2, 2), "epochs": 50, **_MNIST},
    ("mnist", "-small"): {
        "widths": (5, 6, 9, 11, 12),
        "stages": (2, 2),
        "epochs": 80,
        **_MNIST,
        **_LEAN,
        "learning_rate": 0.03,
    },
    ("fashion-mnist", ""): {"widths": (12, 20, 24, 28), "stages": (1, 1, 1), "epochs": 60, "mirror": True},
    ("cifar10", ""): {"widths": (40, 48, 56, 64, 72), "stages": (2, 2), "epochs": 30, **_CIFAR10},
    ("cifar10", "-deep"): {
        "widths": (24, 24, 40, 48, 64, 72, 80),
        "opening": 1,
        "stages": (2, 2, 1),
        "epochs": 60,
        **_CIFAR10,
        **_LEAN,
        "stem_size": 3,
        "batch_size": 64,
    },
    ("cifar10", "-large"): {
        "widths": (96, 128, 128, 192, 192, 256, 256),
        "stages": (2, 2, 2),
        "epochs": 200,
        **_CIFAR10,
    },
}
# The best of each on short trainings of CIFAR-10, by the images held back; on MNIST both do best with the same.
_LEARNING_RATES = {"scs": 0.02, "conv": 0.01}

RECIPES = {
    f"{dataset}-{family}{size}": Recipe(dataset=dataset, family=family, **{"learning_rate": rate, **settings})
    for (dataset, size), settings in _SIZES.items()
    for family, rate in _LEARNING_RATES.items()
}
RECIPES |= {f"{name}-blurred": replace(recipe, blur=True) for name, recipe in RECIPES.items()}


def recipe_for(name: str) -> Recipe:
    """Return the recipe of a bundled model.

    Raises:
        UnknownNameError: no recipe has that name.
    """
    if name not in RECIPES:
        raise UnknownNameError(
            f"a model to train is one of {', '.join(RECIPES)}, or any other name with --data and your own pictures; "
            f"'{name[:64]}' came"
        )
    return RECIPES[name]
