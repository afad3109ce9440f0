"""The import of a network: found out, composed and checked against the original."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import onnx

from models.cards import catalogue
from models.cards.card import ModelCard
from models.imports.checking import Examples, Imported, checked
from models.imports.class_maps import Head
from models.imports.compose import Composer
from models.imports.describing import layer_card
from models.imports.found import Found, find_out
from models.imports.layers import Chosen
from models.imports.model_card import CLASS_MAP, model_card
from models.imports.original import Original
from models.imports.wish import Wish


def import_network(
    original: Original, wish: Wish, name: str, version: int, examples: Examples | None = None
) -> Imported:
    """Make a model of the repository of a network, and check it; nothing is written.

    Args:
        original: the network.
        wish: what is said of it.
        name: of the model in the repository.
        version: a number from 1.
        examples: gives pictures with their classes, brought to the size of the input that it is given.

    Raises:
        ModelError: it cannot be imported, or does not agree with the original; the message says what was needed.
        OptionError: something that was said cannot be, or nothing says how pictures are prepared.
        UnknownNameError: an output or layer that there is not.
    """
    found = find_out(original, wish)
    model, card = _compose(found, name, version)
    content = model.SerializeToString()
    card = card.model_copy(update={"sha256": hashlib.sha256(content).hexdigest()})
    return checked(found, content, card, examples)


def _compose(found: Found, name: str, version: int) -> tuple[onnx.ModelProto, ModelCard]:
    """Compose the graph that is served, and its card; the card's claims are not checked yet."""
    source, composer = found.source, Composer(found.freed.model, found.source, found.preprocess)
    layers = []
    for chosen in found.layers:
        shape = found.measured.shapes[chosen.tensor]
        tensor = composer.show(chosen, shape, found.graph.type_of(chosen.tensor))
        layers.append(layer_card(chosen, tensor, shape, source))
    if found.layers and (grid := found.layers[-1].view.grid) and "t" in found.layers[-1].view.roles and grid.before:
        last = found.layers[-1]
        named = replace(last, name=f"{last.name}.class_token")
        layers.append(layer_card(named, composer.show_class_token(last), found.measured.shapes[last.tensor], source))
    class_bias: list[float] = []
    if isinstance(found.head, Head):
        maps = Chosen(CLASS_MAP, found.head.maps, found.head.view)
        shape = found.measured.shapes[maps.tensor]
        shown = composer.show(replace(maps, name="class_map/maps"), shape, found.graph.type_of(maps.tensor))
        card = layer_card(maps, composer.show_class_map(found.head, shown), shape, source)
        layers.append(card.model_copy(update={"channels": len(found.head.bias), "signed": True}))
        class_bias = found.head.bias.tolist()
    model = composer.finish(found.logits, len(found.labels))
    return model, model_card(found, name, version, layers, class_bias)


def next_version(repository: Path, name: str) -> int:
    """Return the version after the newest of a model."""
    return max((entry.version for entry in catalogue.entries(repository) if entry.name == name), default=0) + 1
