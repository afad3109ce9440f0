"""Pictures of one's own as a network's features, for ``scs teach``."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from models.cards.card import InputCard
from models.datasets.decoded import broken_pictures, decode_pictures
from models.datasets.labelled import FEWEST_CLASSES, LabelledPicture, LabelledPictures
from models.teaching.network import Network
from models.teaching.taught import NONE, Taught, Views
from scs.errors import DataError
from service.cli.own_data import decoder
from service.cli.progress import image_bars
from service.settings import Settings

_AT_ONCE = 32  # pictures that are held in memory
_MOST_NUMBERS = 2**28  # of all features; a gigabyte


@dataclass(frozen=True, eq=False)
class Looked:
    """Pictures that were looked at.

    Attributes:
        taught: their features, without those that were there already.
        pictures: the files, by SHA-256.
        repeated: names of those that were there already.
        broken: names of those that cannot be read, with what is wrong.
        wanted: the size that they are decoded to.
    """

    taught: Taught
    pictures: Mapping[str, LabelledPicture]
    repeated: tuple[str, ...]
    broken: tuple[str, ...]
    wanted: InputCard


def look(
    data: LabelledPictures, network: Network, settings: Settings, skip_broken: bool, before: Taught | None = None
) -> Looked:
    """Run a network on pictures, those of a test part left out, with a progress bar.

    Args:
        data: the pictures.
        network: the network.
        settings: limits of pictures.
        skip_broken: leave out what cannot be read.
        before: pictures that were taught before.

    Raises:
        DataError: a class has no picture that can be read, one picture is in two classes, there are too few classes, or
            their features are too many.
    """
    classes = tuple(each for each in data.classes if not _is_none(each))
    if before is None and len(classes) < FEWEST_CLASSES:
        raise DataError(f"teaching needs two classes beside '{NONE}'; {data.name} has {len(classes)}")
    index = {name: classes.index(name) if name in classes else -1 for name in data.classes}
    labels = [index[name] for name in data.classes]
    wanted = network.card.input.model_copy(update={"resize": True})
    given = [each for each in data.pictures if each.split != "test"]
    broken: list[str] = []
    fresh, repeated, digests = _without_repeated(given, data, before, broken)
    read = decoder(settings)
    kept: list[LabelledPicture] = []
    found: list[Views] = []
    with image_bars() as bars:
        shown = bars("looking at pictures", len(fresh))
        for first in range(0, len(fresh), _AT_ONCE):
            part = fresh[first : first + _AT_ONCE]
            numbered = [replace(each, label=number) for number, each in enumerate(part)]
            images, readable = decode_pictures(numbered, wanted, read, broken)
            if readable.size:
                found.append(network.views(images))
                _check_size(len(given), found[0], network)
            kept += [part[number] for number in readable]
            shown(min(first + _AT_ONCE, len(fresh)))
    if broken and not skip_broken:
        raise DataError(broken_pictures(data, broken))
    taught = Taught(
        np.concatenate(found or [np.empty((0, 1, network.layer.channels), np.float32)]),
        np.array([labels[each.label] for each in kept], np.int64),
        classes,
        tuple(each.name for each in kept),
        tuple(digests[each.name] for each in kept),
    )
    _check(data, taught, before)
    return Looked(taught, {digests[each.name]: each for each in kept}, repeated, tuple(broken), wanted)


def _check_size(pictures: int, views: Views, network: Network) -> None:
    _, places, channels = views.shape
    if pictures * places * channels > _MOST_NUMBERS:
        raise DataError(
            f"features are kept in memory, at most {_MOST_NUMBERS:,} numbers; {pictures} pictures with {places} places "
            f"of {channels} channels in {network.layer.name} have {pictures * places * channels:,}; a later layer has "
            "fewer places, and the mean, --pooling mean, one a picture"
        )


def _is_none(label: str) -> bool:
    return label.strip().casefold() == NONE


def _without_repeated(
    given: list[LabelledPicture], data: LabelledPictures, before: Taught | None, broken: list[str]
) -> tuple[list[LabelledPicture], tuple[str, ...], dict[str, str]]:
    """Return each picture once, the names of those that come again, and all digests by name.

    ``broken`` receives a few words on each file that cannot be opened.
    """
    seen: dict[str, tuple[str, str]] = {}  # class and name by digest
    if before is not None:
        for name, label, digest in zip(before.names, before.labels.tolist(), before.digests, strict=True):
            seen[digest] = before.classes[label] if label >= 0 else NONE, name
    fresh, repeated, digests = [], [], {}
    for each in given:
        try:
            digest = hashlib.sha256(each.read()).hexdigest()
        except OSError as error:
            broken.append(f"{each.name}: {error.strerror or error}")
            continue
        own = NONE if _is_none(data.classes[each.label]) else data.classes[each.label]
        label, name = seen.setdefault(digest, (own, each.name))
        if label != own:
            raise DataError(f"a picture has one class; {each.name} is {name}, of '{label[:60]}', byte for byte")
        digests[each.name] = digest
        if name == each.name and (before is None or digest not in before.digests):
            fresh.append(each)
        else:
            repeated.append(each.name)
    return fresh, tuple(repeated), digests


def _check(data: LabelledPictures, taught: Taught, before: Taught | None) -> None:
    known = [] if before is None else before.classes
    for name, count in zip(taught.classes, taught.counts(), strict=True):
        if not count and name not in known:
            raise DataError(f"'{name[:60]}' of {data.name} needs a picture; none that is left can be read")
    if before is not None and not taught.names:
        raise DataError(f"all pictures of {data.name} are there already; nothing is added")
