"""A taught model on disk: composed, checked against its head, and written with its card and its pictures' features."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.cards import catalogue
from models.cards.card import CARD_VERSION, CountedCard, LayerCard, ModelCard, TaughtCard
from models.cards.catalogue import Entry
from models.cards.confined import read_confined
from models.cards.write import write_version
from models.runtime.check import check_model, warm_up_pictures
from models.runtime.load import load_model
from models.teaching.fit import Fitted
from models.teaching.graph import CLASS_MAP, KERNEL_MAPS, compose, count_parameters
from models.teaching.network import Network, own_layers
from models.teaching.rejection import Counted
from models.teaching.taught import FILE, NONE, Taught, read_taught
from scs.errors import ExportError, ModelError

FAMILY = "taught"
_LARGEST_DIFFERENCE = 1e-3  # of the logits' range
_LARGEST_FILE = 2**31 - 1


@dataclass(frozen=True)
class Source:
    """Where a taught model comes from, for its card: the network by name, version and digest, and names of the data."""

    network: str
    network_sha256: str
    data: str


def write_taught(
    name: str, repository: Path, network: Network, source: Source, taught: Taught, fitted: Fitted
) -> ModelCard:
    """Write a head behind its network as the next version of a model; whole, or not at all.

    Raises:
        ExportError: the file does not answer as the head does.
        OSError: it cannot be written.
    """
    kept = [layer.tensor for layer in own_layers(network.card)]
    content = compose(network.content, network.layer.tensor, kept, fitted.head, network.pooling)
    version = max((entry.version for entry in catalogue.versions(repository, name)), default=0) + 1
    pictures = taught.to_bytes()
    card = _card(name, version, content, pictures, network, source, taught, fitted)
    _check(content, card, network, fitted)
    write_version(repository / name / str(version), content, card, {FILE: pictures})
    return card


def read_pictures(entry: Entry, card: ModelCard) -> Taught:
    """Read the features of the pictures that a model was taught.

    Raises:
        ModelError: the model was not taught, or its file is missing, broken or another's.
    """
    if card.taught is None:
        raise ModelError(f"pictures are added to a model that was taught; {card.name} {card.version} was not")
    try:
        content = read_confined(entry.repository, entry.folder / FILE, _LARGEST_FILE)
    except FileNotFoundError:
        raise ModelError(f"{card.name} {card.version} needs its {FILE} to be taught more; there is none") from None
    if hashlib.sha256(content).hexdigest() != card.taught.sha256:
        raise ModelError(f"{FILE} of {card.name} {card.version} needs the SHA-256 of its card; it has another")
    return read_taught(content)


def _card(
    name: str,
    version: int,
    content: bytes,
    pictures: bytes,
    network: Network,
    source: Source,
    taught: Taught,
    fitted: Fitted,
) -> ModelCard:
    head, start = fitted.head, network.card
    none = [] if head.threshold is None else [NONE]
    biases = [0.0] * head.classes + [head.temperature * head.threshold for _ in none if head.threshold is not None]
    field = network.layer.receptive_field
    if network.pooling == "mean":  # whose length is of the whole picture
        field = field.model_copy(update={"everywhere": True})
    owners = [taught.classes[owner] for owner in head.kernels.owners]
    layers = {
        "class_map": (CLASS_MAP, head.classes + len(none), None),
        "kernels": (KERNEL_MAPS, len(owners), owners),
    }
    shown = [
        LayerCard(
            name=layer, tensor=tensor, channels=channels, labels=labels, receptive_field=field, signed=True,
            maps=network.layer.maps,
        )
        for layer, (tensor, channels, labels) in layers.items()
    ]  # fmt: skip
    taken = {layer.name for layer in shown}
    count = len(taught.names)
    return ModelCard(
        card_version=CARD_VERSION,
        name=name,
        version=version,
        description=f"Classifier of {head.classes} classes, taught {count} pictures on features of {source.network}.",
        format="onnx",
        sha256=hashlib.sha256(content).hexdigest(),
        family=FAMILY,
        parameters=count_parameters(network.content, network.layer.tensor) + head.kernels.vectors.size,
        input=start.input.model_copy(update={"resize": True}),
        labels=[*taught.classes, *none],
        layers=[*(each for each in own_layers(start) if each.name not in taken), *reversed(shown)],
        class_map="class_map",
        class_bias=biases,
        class_pooling=network.pooling,
        serving=start.serving,
        taught=_taught_card(pictures, network, source, taught, fitted),
        licence=start.licence,
    )


def _taught_card(pictures: bytes, network: Network, source: Source, taught: Taught, fitted: Fitted) -> TaughtCard:
    head, rejection = fitted.head, fitted.rejection
    return TaughtCard(
        network=source.network,
        network_sha256=source.network_sha256,
        layer=network.layer.name,
        data=source.data,
        pictures=taught.counts(),
        other_things=len(taught.others),
        sha256=hashlib.sha256(pictures).hexdigest(),
        kernels=len(head.kernels.owners),
        p=head.sharpness.p,
        q=round(head.sharpness.q, 6),
        shrinkage=fitted.choice.shrinkage,
        temperature=round(head.temperature, 6),
        threshold=head.threshold,
        most_false_alarms=fitted.most_false_alarms,
        right=_counted(right_of(taught, fitted)),
        misses=_counted(rejection.misses),
        false_alarms=_counted(rejection.false_alarms),
    )


def _counted(counted: Counted | None) -> CountedCard | None:
    if counted is None:
        return None
    low, high = (round(bound, 4) for bound in counted.interval())
    return CountedCard(count=counted.count, of=counted.of, low=low, high=high)


def right_of(taught: Taught, fitted: Fitted) -> Counted | None:
    """Count the pictures that were left out and named rightly."""
    if not len(fitted.asked):
        return None
    named = fitted.logits.argmax(1)
    return Counted(int((named == taught.of_classes.labels[fitted.asked]).sum()), len(named))


def _check(content: bytes, card: ModelCard, network: Network, fitted: Fitted) -> None:
    """Load the file as the service does, and compare its logits with those of the head itself."""
    model = load_model(content, card, "cpu")
    try:
        check_model(model, card)
    except ModelError as error:
        raise ExportError(f"what was taught cannot be written: {error}") from error
    pictures = warm_up_pictures(card)
    expected = fitted.head.logits(network.views(pictures))
    came = np.concatenate([model.logits(picture[None]) for picture in pictures])
    difference = float(np.abs(came - expected).max() / max(1e-6, np.ptp(expected)))
    if not difference <= _LARGEST_DIFFERENCE:
        raise ExportError(
            f"the file needs the answers of what was taught; they differ by {difference:.2g} of their range"
        )
