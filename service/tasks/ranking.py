"""The ranking of a picture's classes by their logits."""

from __future__ import annotations

import math
from collections.abc import Sequence

from models.cards.card import ModelCard
from models.runtime.load import Array
from scs.errors import OptionError
from service.api.ranking import ClassProbability, Ranking, TemplateScore


def rank(logits: Array, card: ModelCard, top_k: int) -> Ranking:
    """Return the most probable classes of one picture, or the templates of a bank with the best scores.

    Of a network without classes there are none.
    """
    if not card.labels:
        return []
    values = logits.tolist()
    best = sorted(range(len(values)), key=values.__getitem__, reverse=True)[:top_k]
    if card.bank is not None:
        return [TemplateScore(card.labels[i], i, values[i]) for i in best]
    probabilities = softmax(values)
    return [ClassProbability(card.labels[i], i, probabilities[i]) for i in best]


def softmax(logits: Sequence[float]) -> list[float]:
    """Return the probabilities of one picture's logits; for tens of classes a list is faster than an array."""
    largest = max(logits)
    powers = [math.exp(each - largest) for each in logits]
    total = sum(powers)
    return [power / total for power in powers]


def check_classes(card: ModelCard) -> None:
    """Refuse to classify by a network that has no classes.

    Raises:
        OptionError: it has none.
    """
    if not card.labels:
        raise OptionError(f"{card.name} has no classes: it is served for its layers, by /activations")
