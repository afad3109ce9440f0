"""What was composed is loaded, compared with the original, and its card corrected by what is seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from models.cards.card import InputCard, ModelCard
from models.imports.class_maps import LARGEST_DIFFERENCE, Head
from models.imports.comparing import compare
from models.imports.examples import Example, check_examples
from models.imports.findings import findings
from models.imports.found import Found, noise
from models.imports.model_card import CLASS_MAP
from models.imports.moved_pixels import refuted
from models.imports.report import ImportReport
from models.onnx.signs import never_negative
from models.runtime.load import RunnableModel, load_model
from scs.errors import ModelError

_NOISE = 4  # pictures on which the imported network is compared with the original
_LARGEST_DIFFERENCE = 1e-3  # between the two, of the range of the answers
Array = NDArray[Any]
Examples = Callable[[InputCard], Sequence[Example]]


@dataclass(frozen=True)
class Imported:
    """A network that is ready to be written: its file, its card and what was found out."""

    content: bytes
    card: ModelCard
    report: ImportReport


def checked(found: Found, content: bytes, card: ModelCard, examples: Examples | None) -> Imported:
    """Load what was composed, compare it with the original, correct the card by what is seen, and report."""
    resident = _resident()
    model = load_model(content, card, "cpu")
    memory = None if resident is None else max(0, (_resident() or 0) - resident)
    images = noise(found.source, _NOISE)
    shown = list(examples(card.input)) if examples else []
    pictures = [*images[:, None], *(example.pixels for example in shown)]

    card = _with_signs(card, content)
    names = [layer.name for layer in card.layers]
    source = found.source
    wrong = refuted(card.layers, lambda image: model.layers(image, names), source.height, source.width, source.channels)
    card = _with_corrected_fields(card, wrong)
    card, class_map, map_difference = _with_checked_class_map(found, card, model, pictures)
    difference, same = compare(found, model, card, pictures)
    if not difference <= _LARGEST_DIFFERENCE:
        raise ModelError(
            f"what was imported needs the answers of the original; they differ by {difference:.2g} of their range: "
            "nothing is written"
        )
    assert card.imported is not None
    card = card.model_copy(update={"imported": card.imported.model_copy(update={"difference": difference})})
    started = time.perf_counter()
    for picture in pictures:
        if card.labels:
            model.logits(picture)
        else:
            model.layers(picture, names)
    seconds = (time.perf_counter() - started) / len(pictures)
    told, verdict = check_examples(found.preprocess, source, found.original.model, found.logits, card.labels, shown)
    report = ImportReport(
        name=card.name,
        version=card.version,
        file=found.original.name,
        findings=findings(found, card, wrong),
        assumed=card.imported.assumed if card.imported else [],
        class_map=class_map,
        difference=difference,
        same_top_class=same,
        class_map_difference=map_difference,
        pictures=len(pictures),
        milliseconds=seconds * 1e3,
        model_bytes=len(content),
        memory_bytes=memory,
        examples=told,
        verdict=verdict,
    )
    return Imported(content, card, report)


def _with_signs(card: ModelCard, content: bytes) -> ModelCard:
    """Return the card with the sign of each layer: what some pictures show it is not, others may."""
    graph = onnx.load_from_string(content).graph
    layers = [layer.model_copy(update={"signed": not never_negative(graph, layer.tensor)}) for layer in card.layers]
    return card.model_copy(update={"layers": layers})


def _with_corrected_fields(card: ModelCard, wrong: set[str]) -> ModelCard:
    """Return the card with the layers that moved pixels refuted as seeing everything, which is never wrong."""
    layers = []
    for layer in card.layers:
        field = layer.receptive_field.model_copy(update={"everywhere": True})
        layers.append(layer.model_copy(update={"receptive_field": field}) if layer.name in wrong else layer)
    return card.model_copy(update={"layers": layers})


def _with_checked_class_map(
    found: Found, card: ModelCard, model: RunnableModel, pictures: Sequence[Array]
) -> tuple[ModelCard, str, float | None]:
    """Return the card, without its class map where means of maps are not the logits; and why, and how far off."""
    if not isinstance(found.head, Head):
        return card, found.head, None
    largest = 0.0
    for picture in pictures:
        maps = model.layers(picture, [CLASS_MAP])
        means = maps[CLASS_MAP].mean(axis=(2, 3), dtype=np.float64) + found.head.bias
        largest = max(largest, float(np.abs(means - maps["logits"]).max() / max(1e-6, np.ptp(maps["logits"]))))
    if largest <= LARGEST_DIFFERENCE:
        return card, "exact", largest
    layers = [layer for layer in card.layers if layer.name != CLASS_MAP]
    without = card.model_copy(update={"layers": layers, "class_map": None, "class_bias": []})
    return without, f"a map's mean is {largest:.2g} of the logits' range from its logit", largest


def _resident() -> int | None:
    """Return this process's resident memory in bytes; None where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
    except (OSError, ValueError, IndexError):
        return None
