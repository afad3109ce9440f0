"""What came of the pictures that ``scs teach`` left out, in words and as two pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.cards.card import ModelCard
from models.datasets.decoded import decode_pictures
from models.evaluation.accuracy import Evaluation, judge
from models.evaluation.calibration import log_softmax
from models.teaching.fit import Fitted
from models.teaching.taught import Taught
from service.cli.looked_at import Looked
from service.cli.own_data import decoder
from service.pictures.captioned import Captioned, draw_captioned
from service.pictures.confusion import draw_confusion
from service.settings import Settings

_HARDEST = 24


@dataclass(frozen=True, eq=False)
class Asked:
    """A picture that was left out: name, SHA-256 and class, what it was called, and the probabilities of both."""

    name: str
    sha256: str
    label: str
    said: str
    of_label: float
    of_said: float


@dataclass(frozen=True, eq=False)
class LeftOut:
    """All pictures that were left out, the hardest first, and how often which class was called what."""

    pictures: list[Asked]
    evaluation: Evaluation | None

    @classmethod
    def of(cls, card: ModelCard, taught: Taught, fitted: Fitted) -> LeftOut:
        """Return what came of them; nothing where every class has one picture."""
        if not len(fitted.asked):
            return cls([], None)
        own = taught.of_classes
        labels = own.labels[fitted.asked]
        shares = np.exp(log_softmax(fitted.logits))
        order = np.argsort(shares[np.arange(len(labels)), labels], kind="stable")
        pictures = [
            Asked(
                own.names[fitted.asked[i]],
                own.digests[fitted.asked[i]],
                card.labels[labels[i]],
                card.labels[shares[i].argmax()],
                float(shares[i, labels[i]]),
                float(shares[i].max()),
            )
            for i in order.tolist()
        ]
        return cls(pictures, judge(fitted.logits.astype(np.float32), labels, tuple(card.labels)))


def write_pictures(folder: Path, card: ModelCard, left_out: LeftOut, looked: Looked, settings: Settings) -> None:
    """Draw the confusion, and the hardest of the pictures that are at hand, into a folder, made where it is missing."""
    if left_out.evaluation is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    found = left_out.evaluation
    title = f"{card.name} {card.version}, each picture left out once: {found.correct} of {found.images} right"
    draw_confusion(found.confusion, found.classes, title).save(folder / "confusion.png")
    hardest = [each for each in left_out.pictures if each.sha256 in looked.pictures][:_HARDEST]
    files = [looked.pictures[each.sha256] for each in hardest]
    images, _ = decode_pictures(files, looked.wanted, decoder(settings), [])
    shown = [
        Captioned(pixels, f"says {each.said}, {each.of_said:.0%}", f"is {each.label}, {each.of_label:.0%}; {each.name}")
        for pixels, each in zip(images, hardest, strict=True)
    ]
    draw_captioned(shown, f"{card.name} {card.version}: the {len(shown)} pictures that it finds hardest").save(
        folder / "hardest.png"
    )
