"""The split of somebody's own pictures into those to train on, those held back, and those to test on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.datasets.labelled import SPLITS, LabelledPictures, SplitName
from scs.errors import DataError

SHARE = 0.15  # of every class, held back, and as many to test on

Split = dict[SplitName, list[int]]


def split_pictures(data: LabelledPictures, seed: int) -> tuple[Split, bool]:
    """Say which pictures are to train on, held back, and to test on.

    Where the data say so, it is as they say; a part that they do not have is drawn from those to train on. Else each is
    drawn from every class alike (a stratified split): ``SHARE`` of it, and at least one picture.

    Args:
        data: the pictures.
        seed: decides what is drawn.

    Returns:
        Indices of pictures by the name of the part, in their order, and whether any were drawn.

    Raises:
        DataError: a class has too few pictures to draw from, or some pictures are in a part and some in none.
    """
    found: Split = {name: [i for i, each in enumerate(data.pictures) if each.split == name] for name in SPLITS}
    placed = sum(map(len, found.values()))
    if 0 < placed < len(data.pictures):
        raise DataError(f"all pictures of {data.name} need a split, or none; {placed} of {len(data.pictures)} have one")
    if not placed:
        found["train"] = list(range(len(data.pictures)))
    elif not found["train"]:
        raise DataError(
            f"a training needs pictures to train on; {data.name} has a part to test on and none to train on"
        )
    missing: list[SplitName] = [name for name in ("test", "validation") if not found[name]]
    if missing:
        _draw(data, found, missing, seed)
    _check_classes(data, found["train"])
    return found, bool(missing)


def _draw(data: LabelledPictures, found: Split, missing: Sequence[SplitName], seed: int) -> None:
    """Move pictures of every class from those to train on to the parts that are missing."""
    left: list[int] = []
    for label, name in enumerate(data.classes):
        own = [i for i in found["train"] if data.pictures[i].label == label]
        if len(own) <= len(missing):
            raise DataError(
                f"a class needs {len(missing) + 1} pictures to train on or more, since one goes into each missing part "
                f"({', '.join(missing)}); '{name[:60]}' of {data.name} has {len(own)}"
            )
        order = np.random.default_rng([seed, label]).permutation(own).tolist()
        count = max(1, round(SHARE * len(own)))
        for part in missing:
            found[part] += order[:count]
            order = order[count:]
        left += order
    found["train"] = left
    for indices in found.values():
        indices.sort()


def _check_classes(data: LabelledPictures, train: Sequence[int]) -> None:
    seen = {data.pictures[i].label for i in train}
    for label, name in enumerate(data.classes):
        if label not in seen:
            raise DataError(f"every class needs a picture to train on; '{name[:60]}' of {data.name} has none")
