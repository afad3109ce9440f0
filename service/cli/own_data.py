"""Somebody's own pictures for commands, decoded as the service decodes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.cards.card import InputCard, ModelCard
from models.datasets.dataset import Dataset
from models.datasets.decoded import Decode, Decoded, Wish, broken_pictures, choose_input, decode_all, decode_pictures
from models.datasets.labelled import SPLITS, LabelledPicture, LabelledPictures, SplitName
from models.datasets.splits import split_pictures
from scs.errors import DataError, UnsupportedImageError
from scs.nearest import there_are
from service.api.files import NamedBytes
from service.cli.progress import image_bars
from service.pictures.npy import is_npy
from service.settings import Settings
from service.tasks.decoding import decode


def decoder(settings: Settings) -> Decode:
    """Return what decodes a picture's bytes for a network as the service does."""

    def decode_one(content: bytes, wanted: InputCard) -> Decoded:
        pictures = decode([NamedBytes("the picture", content, is_npy(None, content))], wanted, "card", settings)
        if len(pictures) != 1:
            raise UnsupportedImageError(f"one picture a file was needed; {len(pictures)} came")
        return pictures[0][1]

    return decode_one


def choose(data: LabelledPictures, wish: Wish, settings: Settings) -> InputCard:
    """Choose the input of a network by looking at the data; see :func:`models.datasets.decoded.choose_input`."""
    return choose_input(data, wish, decoder(settings))


def decoded(
    data: LabelledPictures,
    wanted: InputCard,
    split_seed: int,
    settings: Settings,
    *,
    only: tuple[SplitName, ...] = SPLITS,
    skip_broken: bool = False,
) -> Dataset:
    """Split and decode the pictures, with a progress bar; see :func:`models.datasets.decoded.decode_all`."""
    with image_bars() as bars:
        shown = bars("decoding", len(data.pictures))
        return decode_all(
            data, wanted, split_seed, decoder(settings), only=only, skip_broken=skip_broken, on_pictures=shown
        )


@dataclass(frozen=True)
class Chosen:
    """The pictures that a model is measured on.

    Attributes:
        dataset: with them as test images, in the classes of the model.
        names: of the pictures; none for a data set that is published.
        sentence: which they are, for people; empty for a data set that is published.
    """

    dataset: Dataset
    names: Sequence[str] = ()
    sentence: str = ""


def to_evaluate(data: LabelledPictures, card: ModelCard, settings: Settings, skip_broken: bool) -> Chosen:
    """Decode the pictures that a model is to be measured on, for its input.

    Those are the ones that it has not seen: the test part that its training drew, where the data are those that it was
    trained on; else the test part that the data have, and all of them where they have none.

    Raises:
        DataError: a class is none of the model's, or pictures cannot be read.
    """
    labels = _as_labels(data, card)
    chosen, which = _not_seen(data, card)
    wanted = card.input.model_copy(update={"resize": True})
    broken: list[str] = []
    with image_bars() as bars:
        numbered = [replace(each, label=number) for number, each in enumerate(chosen)]
        images, readable = decode_pictures(numbered, wanted, decoder(settings), broken, bars("decoding", len(chosen)))
    if broken and not skip_broken:
        raise DataError(broken_pictures(data, broken))
    if not len(readable):
        raise DataError(f"an evaluation needs a picture; none of {data.name} can be read")
    left = [chosen[number] for number in readable]
    own = [each.label for each in left]
    nothing = np.empty((0, *images.shape[1:]), np.uint8), np.empty(0, np.int64)
    dataset = Dataset(data.name, *nothing, images, labels[own], tuple(card.labels))
    left_out = f"; {len(broken)} that cannot be read are left out" if broken else ""
    return Chosen(dataset, [each.name for each in left], f"{which}{left_out}")


def _not_seen(data: LabelledPictures, card: ModelCard) -> tuple[list[LabelledPicture], str]:
    """Choose pictures that a model was not trained on, as far as that is known, and say which they are."""
    trained = card.training.data if card.training else None
    if trained is not None and trained.sha256 == data.sha256:
        parts, _ = split_pictures(data, trained.split_seed or 0)
        chosen = [data.pictures[i] for i in parts["test"]]
        return chosen, f"on the {len(chosen):,} pictures of {data.name} that its training kept for the test"
    chosen = [each for each in data.pictures if each.split == "test"]
    if chosen:
        return chosen, f"on the {len(chosen):,} pictures in the test part of {data.name}"
    seen = card.taught is not None and data.name in card.taught.data.split(", ")
    taught = "; it was taught data of that name, and what it has seen flatters it" if seen else ""
    return list(data.pictures), f"on all {len(data.pictures):,} pictures of {data.name}{taught}"


def _as_labels(data: LabelledPictures, card: ModelCard) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return for each class of the data its number in the model, by its name, whether capital or small."""
    if not card.labels:
        raise DataError(f"an evaluation needs a model with classes; {card.name} has none")
    exact = {name: number for number, name in enumerate(card.labels)}
    folded = {name.casefold(): number for number, name in enumerate(card.labels)}
    for name in data.classes:
        if name not in exact and name.casefold() not in folded:
            raise DataError(
                f"the classes of {data.name} need to be those of {card.name}; '{name[:60]}' is none: "
                f"{there_are(name, card.labels)}"
            )
    return np.array([exact.get(name, folded.get(name.casefold(), -1)) for name in data.classes], np.int64)
