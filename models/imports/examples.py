"""Examples: pictures whose class is known, which confirm a preprocessing or shake it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from models.imports.interface import Source
from models.imports.logits import Logits
from models.imports.preprocess import PRESETS, Preprocess, parse
from models.imports.report import ExampleReport, Rank
from models.imports.trial import Trial, with_outputs
from scs.errors import OptionError, UnknownNameError

_CONFIRMS = 5  # places from the first, among which an example's class has to be
_DECIDE = 3  # examples from which on they can tell preprocessings apart that are alike
_TINY = 1e-30

Array = NDArray[Any]


@dataclass(frozen=True)
class Example:
    """A picture of a known class, brought to a network's size: uint8 ``(1, H, W, C)``."""

    name: str
    label: str
    pixels: NDArray[np.uint8]


def check_examples(
    preprocess: Preprocess,
    source: Source,
    model: onnx.ModelProto,
    logits: Logits | None,
    labels: Sequence[str],
    examples: Sequence[Example],
) -> tuple[list[ExampleReport], str]:
    """Rank the class of each example under the preprocessing and under others, and say what that means.

    Raises:
        OptionError: a network without classes; or examples that contradict the preprocessing.
        UnknownNameError: a class that the network does not have.
    """
    if not examples:
        return [], ""
    if logits is None:
        raise OptionError("an example needs a network with classes; this one has none: name them by --labels")
    rows = max(1, source.batch or _rows(model))
    session = Trial(with_outputs(model, [logits.tensor]))
    ways = [preprocess, *_others(preprocess, source)]
    reports, scores = [], np.zeros(len(ways))
    for example in examples:
        number = class_number(example.label, labels)
        ranks, said = [], ""
        for place, way in enumerate(ways):
            given = source.shaped(way.apply(np.repeat(example.pixels, rows, 0)))
            probabilities = _probabilities(session.run([logits.tensor], {source.name: given})[0][:1], logits)
            rank = int((probabilities > probabilities[number]).sum()) + 1
            ranks.append(Rank(preprocess=way.source, rank=rank, probability=float(probabilities[number])))
            scores[place] += np.log(max(_TINY, probabilities[number])) / len(examples)
            said = said or labels[int(probabilities.argmax())]
        reports.append(ExampleReport(picture=example.name, label=labels[number], said=said, ranks=ranks))
    return reports, _verdict(reports, ways, scores)


def class_number(label: str, labels: Sequence[str]) -> int:
    """Return the number of a class by its label, by one of the names in it, or by the number itself.

    Raises:
        UnknownNameError: there is none.
    """
    wanted = label.strip().lower()
    for fits in (
        lambda each: each == wanted,
        lambda each: wanted in [part.strip() for part in each.split(",")],
    ):
        found = [number for number, each in enumerate(labels) if fits(each.lower())]
        if found:
            return found[0]
    if wanted.isdigit() and int(wanted) < len(labels):
        return int(wanted)
    near = [each for each in labels if wanted in each.lower()][:5]
    raise UnknownNameError(f"no class '{label[:60]}'" + (f"; there are {', '.join(near)}" if near else ""))


def _rows(model: onnx.ModelProto) -> int:
    weights = {tensor.name for tensor in model.graph.initializer}
    value = next(value for value in model.graph.input if value.name not in weights)
    return int(value.type.tensor_type.shape.dim[0].dim_value)


def _others(preprocess: Preprocess, source: Source) -> list[Preprocess]:
    """List other ways of preparing pixels, for comparison: the other order of channels, and the presets."""
    if source.dtype == np.uint8:
        return []
    swapped = replace(preprocess, order="rgb" if preprocess.order == "bgr" else "bgr", source="channels swapped")
    others = [swapped] if source.channels == 3 else []
    same = _arithmetic(preprocess)
    for name in PRESETS:
        way = parse(name, min(source.width, source.height))
        if len(way.mean) in (1, source.channels) and _arithmetic(way) != same:
            others.append(replace(way, source=name))
    return others


def _arithmetic(way: Preprocess) -> tuple[Any, ...]:
    gain, bias = way.gain_and_bias(len(way.mean) if len(way.mean) > 1 else 3)
    return way.order, gain.round(6).tolist(), bias.round(4).tolist()


def _probabilities(values: Array, logits: Logits) -> Array:
    values = values.reshape(-1).astype(np.float64)
    if logits.kind == "probabilities":
        return values
    if logits.kind == "one_sided":
        values = np.array([0.0, values[0]])
    powers = np.exp(values - values.max())
    return np.asarray(powers / powers.sum())


def _verdict(reports: list[ExampleReport], ways: list[Preprocess], scores: NDArray[np.float64]) -> str:
    """Say whether the examples confirm the preprocessing.

    Raises:
        OptionError: they contradict it.
    """
    count = len(reports)
    good = sum(report.ranks[0].rank <= _CONFIRMS for report in reports)
    best = int(scores.argmax())
    if 2 * good < count:
        worst = next(report for report in reports if report.ranks[0].rank > _CONFIRMS)
        other = f"; {ways[best].source} does best of what was tried" if best else ""
        raise OptionError(
            f"the examples shake the preprocessing ({ways[0].source}): '{worst.picture}' was given as {worst.label}, "
            f"the network says {worst.said} and has that class at place {worst.ranks[0].rank}{other}. Say another "
            "--preprocess, or leave the example out"
        )
    first = sum(report.ranks[0].rank == 1 for report in reports)
    verdict = f"confirmed: {first} of {count} first, {good} of {count} among the first {_CONFIRMS}"
    if best and count >= _DECIDE and scores[best] > scores[0] + np.log(2):
        return f"shaken: {verdict}, but {ways[best].source} does better on {count} examples"
    if count < _DECIDE:
        verdict += f"; {count} cannot tell preprocessings apart that are alike, such as the order of the channels"
    return verdict
