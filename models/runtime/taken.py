"""What sizes and how many images at a time a network really takes, found out by running it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.cards.card import ModelCard
from models.runtime.session import Array, Images, RunnableModel

_CLOSE = 1e-3  # of the logits' range: what two ways to run one picture may differ by
# Pixels that are added to a side: fewer than a layer's stride may leave every map at its size, so that nothing is seen.
_ONE_MORE, _MUCH_MORE = (1, 3), (65, 79)


@dataclass(frozen=True)
class Taken:
    """What a network takes.

    Attributes:
        fixed: whether it takes images of its card's width and height only.
        one_at_a_time: whether each image has to be run by itself.
    """

    fixed: bool = False
    one_at_a_time: bool = False

    def noted_on(self, card: ModelCard) -> ModelCard:
        """Return the card with what was found out on it, for those who make batches and pictures by it."""
        if self.fixed:
            card = card.model_copy(update={"input": card.input.model_copy(update={"fixed": True})})
        if self.one_at_a_time:
            card = card.model_copy(update={"serving": card.serving.model_copy(update={"max_batch_size": 1})})
        return card


def find_taken(model: RunnableModel, card: ModelCard, pictures: Images, logits: Array) -> Taken:
    """Find out what a network takes.

    Args:
        model: the network.
        card: its card.
        pictures: several, uint8 ``(n, H, W, C)``, of the card's size.
        logits: those of each picture run by itself, ``(n, classes)``.
    """
    return Taken(
        fixed=card.input.fixed or not all(_answers(model, card, pictures, *size) for size in _larger_sizes(card)),
        one_at_a_time=card.serving.max_batch_size == 1 or not _takes_batches(model, pictures, logits),
    )


def answers_smallest(model: RunnableModel, card: ModelCard, pictures: Images) -> bool:
    """Return whether a network has finite logits for what of pictures ``(n, H, W, C)`` has its card's smallest size."""
    width, height = card.input.smallest_size
    return _answers(model, card, pictures, height, width)


def _larger_sizes(card: ModelCard) -> list[tuple[int, int]]:
    """Return heights and widths to try."""
    # The maps of a bank are as large as its pictures, and it may have a hundred thousand of them.
    more = [_ONE_MORE] if card.bank is not None else [_ONE_MORE, _MUCH_MORE]
    return [(card.input.height + down, card.input.width + across) for down, across in more]


def _answers(model: RunnableModel, card: ModelCard, pictures: Images, height: int, width: int) -> bool:
    """Return whether a network answers the last of some pictures, cut or continued to a size."""
    picture = np.resize(pictures[-1:], (1, height, width, card.input.channels))
    logits = _or_none(model.logits, picture)
    return logits is not None and logits.shape == (1, len(card.labels)) and bool(np.isfinite(logits).all())


def _takes_batches(model: RunnableModel, pictures: Images, logits: Array) -> bool:
    """Return whether pictures that are run together have the logits that each has alone."""
    together = _or_none(model.logits, pictures)
    if together is None or together.shape != logits.shape:
        return False
    return bool(np.abs(together - logits).max() <= _CLOSE * (np.ptp(logits) or 1.0))


def _or_none(run: Callable[[Images], Array], images: Images) -> Array | None:
    try:
        return run(images)
    except Exception:  # each runtime raises classes of its own for what it does not take
        return None
