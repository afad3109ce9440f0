"""The import of a network: found out, composed, checked against the original, and written with its card."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import inliner

from models.cards import catalogue
from models.cards.card import CARD_VERSION, ImportCard, InputCard, LayerCard, ModelCard, PreprocessCard, ServingCard
from models.imports.class_maps import LARGEST_DIFFERENCE, Head, find_head
from models.imports.compose import Composer
from models.imports.describing import layer_card
from models.imports.examples import Example, check_examples
from models.imports.graphs import FLOATS, Graph
from models.imports.interface import Source, find_output, find_source
from models.imports.layers import Chosen, LayerChooser
from models.imports.logits import Logits, find_logits
from models.imports.moved_pixels import refuted
from models.imports.original import Original
from models.imports.preprocess import Preprocess, nothing_says_it, parse
from models.imports.receptive_fields import receptive_fields
from models.imports.report import Finding, ImportReport
from models.imports.sizes import Freed, free
from models.imports.trial import Measured, measure, open_model, run, with_outputs
from models.onnx.op import DOMAIN
from models.runtime.load import RunnableModel, load_model
from scs.errors import ModelError

FAMILY = "imported"
_NOISE = 4  # pictures on which the imported network is compared with the original
_LARGEST_DIFFERENCE = 1e-3  # between the two, of the range of the answers
_CLASS_MAP = "class_map"

Array = NDArray[Any]
Examples = Callable[[InputCard], Sequence[Example]]


@dataclass(frozen=True)
class Wish:
    """What whoever imports a network says of it; None leaves a thing to be found.

    Attributes:
        labels: names of its classes.
        labels_from: where these are from, for the report.
        preprocess: as :func:`models.imports.preprocess.parse` reads it.
        size: width and height of its pictures.
        output: the one that has the classes.
        layers: names of tensors or modules to show.
    """

    labels: list[str] | None = None
    labels_from: str = ""
    preprocess: str | None = None
    size: tuple[int, int] | None = None
    output: str | None = None
    layers: Sequence[str] | None = None


@dataclass(frozen=True)
class Imported:
    """A network that is ready to be written: its file, its card and what was found out."""

    content: bytes
    card: ModelCard
    report: ImportReport


@dataclass(frozen=True)
class _Found:
    """What was found out of the original."""

    original: Original
    freed: Freed
    preprocess: Preprocess
    graph: Graph
    measured: Measured
    labels: list[str]
    labels_from: str
    output: str
    is_ambiguous: bool
    logits: Logits | None
    layers: list[Chosen]
    head: Head | str

    @property
    def source(self) -> Source:
        return self.freed.source


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
    found = _find_out(original, wish)
    model, card = _compose(found, name, version)
    content = model.SerializeToString()
    card = card.model_copy(update={"sha256": hashlib.sha256(content).hexdigest()})
    return _checked(found, content, card, examples)


def _find_out(original: Original, wish: Wish) -> _Found:
    original = replace(original, model=_inlined(original.model))
    prepared = parse(wish.preprocess, None) if wish.preprocess else original.preprocess
    usual = original.size or (prepared.size if prepared else None)
    source = find_source(original.model, wish.size, usual)
    preprocess = _preprocess_for(source, prepared, wish, original.name)
    labels, labels_from = (wish.labels, wish.labels_from) if wish.labels else (original.labels, original.labels_from)

    first = Graph(original.model, source.name)
    images = _noise(source, source.batch or 2)
    shapes = measure(first, source.shaped(preprocess.apply(images))).shapes
    has_classes = bool(labels) and (bool(wish.labels) or _could_be_classes(original.model, shapes, len(labels or ())))
    output, is_ambiguous = find_output(original.model, shapes, labels if has_classes else None, wish.output)
    logits = _logits(first, source, preprocess, images, output, shapes) if has_classes else None
    freed = free(original.model, source, logits.tensor if logits else output)

    graph = Graph(freed.model, source.name)
    measured = measure(graph, freed.source.shaped(preprocess.apply(_noise(freed.source, freed.source.batch or 2))))
    roles = tuple(freed.source.layout.lower()) if freed.source.layout != "rows" else ("n", "c")
    views = receptive_fields(graph, measured, roles)
    ends = [logits.tensor] if logits else [value.name for value in original.model.graph.output]
    chooser = LayerChooser(graph, measured, views, ends)
    layers = chooser.named(wish.layers) if wish.layers else chooser.worth_showing()
    layers = [layer for layer in layers if graph.type_of(layer.tensor) in FLOATS]
    head: Head | str = "it has no classes" if logits is None else find_head(graph, measured, views, logits.tensor)
    if isinstance(head, Head) and logits is not None and logits.kind != "logits":
        head = head.of_two_classes() if logits.kind == "one_sided" else "the logits are logarithms of probabilities"
    if not layers and logits is None:
        raise ModelError(
            "a network without labels is served for its maps, and this one has none; name its classes by --labels"
        )
    return _Found(
        original, freed, preprocess, graph, measured, list(labels or []) if has_classes else [], labels_from, output,
        is_ambiguous, logits, layers, head,
    )  # fmt: skip


def _inlined(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model without functions of its own but those of the SCS op, which the service knows."""
    own = [(function.domain, function.name) for function in model.functions if function.domain == DOMAIN]
    return model if len(own) == len(model.functions) else inliner.inline_selected_functions(model, own, exclude=True)


def _preprocess_for(source: Source, prepared: Preprocess | None, wish: Wish, name: str) -> Preprocess:
    """Return the preprocessing, at the size that the network takes.

    Raises:
        OptionError: nothing says it.
    """
    if wish.preprocess:
        prepared = parse(wish.preprocess, max(source.width, source.height))  # of which a crop leaves all
    if source.dtype == np.uint8 and prepared is None:
        order = ("order of the channels",)
        return Preprocess("the file takes uint8, so it prepares pictures itself", said_nothing_of=order)
    if prepared is None:
        raise nothing_says_it(name)
    prepared.gain_and_bias(source.channels)
    return prepared


def _could_be_classes(model: onnx.ModelProto, shapes: dict[str, tuple[int, ...]], count: int) -> bool:
    """Return whether an output has as many numbers as there are labels that came with the file; a detector has not."""
    made = [shapes.get(value.name, ()) for value in model.graph.output]
    return any(len(shape) >= 2 and shape[1] == count and int(np.prod(shape[2:])) == 1 for shape in made)


def _logits(
    graph: Graph, source: Source, preprocess: Preprocess, images: Array, output: str, shapes: dict[str, tuple[int, ...]]
) -> Logits:
    values = None
    if output in shapes and graph.type_of(output) in FLOATS:
        values = run(graph.model, source.shaped(preprocess.apply(images)), [output])[0]
    return find_logits(graph, output, values)


def _noise(source: Source, count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(
        0, 256, (count, source.height, source.width, source.channels), dtype=np.uint8
    )


def _compose(found: _Found, name: str, version: int) -> tuple[onnx.ModelProto, ModelCard]:
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
        maps = Chosen(_CLASS_MAP, found.head.maps, found.head.view)
        shape = found.measured.shapes[maps.tensor]
        shown = composer.show(replace(maps, name="class_map/maps"), shape, found.graph.type_of(maps.tensor))
        card = layer_card(maps, composer.show_class_map(found.head, shown), shape, source)
        layers.append(card.model_copy(update={"channels": len(found.head.bias), "signed": True}))
        class_bias = found.head.bias.tolist()
    model = composer.finish(found.logits, len(found.labels))
    return model, _card(found, name, version, layers, class_bias)


def _card(found: _Found, name: str, version: int, layers: list[LayerCard], class_bias: list[float]) -> ModelCard:
    source, freed, preprocess, original = found.source, found.freed, found.preprocess, found.original
    smallest = freed.smallest[0] if freed.smallest[0] == freed.smallest[1] else freed.smallest
    numbers = sum(int(np.prod(t.dims)) for t in original.model.graph.initializer if t.data_type in FLOATS)
    kind = f"Classifier of {len(found.labels)} classes" if found.labels else "Feature extractor"
    return ModelCard(
        card_version=CARD_VERSION,
        name=name,
        version=version,
        description=f"{kind}, imported from {original.name}.",
        format="onnx",
        sha256="0" * 64,  # of the file that is not there yet
        family=FAMILY,
        parameters=max(1, numbers),
        input=InputCard(
            width=source.width,
            height=source.height,
            channels=source.channels,
            smallest=smallest,
            geometry=preprocess.geometry,
            fixed=source.fixed,
            multiple_of=freed.multiple_of,
        ),
        labels=found.labels,
        layers=layers,
        class_map=_CLASS_MAP if class_bias else None,
        class_bias=class_bias,
        serving=ServingCard(max_batch_size=source.batch),
        imported=ImportCard(
            file=original.name,
            sha256=original.sha256,
            output=found.logits.tensor if found.logits else found.output,
            preprocess=PreprocessCard(
                order=preprocess.order,
                scale=preprocess.scale,
                mean=list(preprocess.mean),
                deviation=list(preprocess.deviation),
                source=preprocess.source,
            ),
            assumed=_assumptions(found),
            difference=0.0,
        ),
        licence=original.licence,
    )


def _assumptions(found: _Found) -> list[str]:
    """List what nothing said."""
    assumed = [f"the {what}: {found.preprocess.order}" for what in found.preprocess.said_nothing_of]
    if found.preprocess.geometry is None:
        assumed.append("pictures are stretched to the size, since nothing says how else they come to it")
    if found.is_ambiguous and found.logits:
        assumed.append(f"the classes are in the output {found.output}; --output names another")
    if found.logits and found.logits.is_multi_label:
        assumed.append("classes are ranked against each other, though the network tells of each apart (sigmoid)")
    if found.logits is None and not found.labels:
        shape = found.measured.shapes.get(found.output, ())
        if len(shape) == 2:
            assumed.append(
                f"{found.output} ({shape[1]} numbers) is no classes, since nothing names them; --labels does"
            )
    return assumed


def _checked(found: _Found, content: bytes, card: ModelCard, examples: Examples | None) -> Imported:
    """Load what was composed, compare it with the original, correct the card by what is seen, and report."""
    resident = _resident()
    model = load_model(content, card, "cpu")
    memory = None if resident is None else max(0, (_resident() or 0) - resident)
    images = _noise(found.source, _NOISE)
    shown = list(examples(card.input)) if examples else []
    pictures = [*images[:, None], *(example.pixels for example in shown)]

    card = _with_signs(card, model, pictures)
    names = [layer.name for layer in card.layers]
    source = found.source
    wrong = refuted(card.layers, lambda image: model.layers(image, names), source.height, source.width, source.channels)
    card = _with_corrected_fields(card, wrong)
    card, class_map, map_difference = _with_checked_class_map(found, card, model, pictures)
    difference, same = _compare(found, model, card, pictures)
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
        findings=_findings(found, card, wrong),
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


def _with_signs(card: ModelCard, model: RunnableModel, pictures: Sequence[Array]) -> ModelCard:
    """Return the card with the sign of each layer as it was seen."""
    names = [layer.name for layer in card.layers]
    signed = {
        name for picture in pictures for name, maps in model.layers(picture, names).items() if maps.min(initial=0) < 0
    }
    layers = [layer.model_copy(update={"signed": layer.name in signed}) for layer in card.layers]
    return card.model_copy(update={"layers": layers})


def _with_corrected_fields(card: ModelCard, wrong: set[str]) -> ModelCard:
    """Return the card with the layers that moved pixels refuted as seeing everything, which is never wrong."""
    layers = []
    for layer in card.layers:
        field = layer.receptive_field.model_copy(update={"everywhere": True})
        layers.append(layer.model_copy(update={"receptive_field": field}) if layer.name in wrong else layer)
    return card.model_copy(update={"layers": layers})


def _with_checked_class_map(
    found: _Found, card: ModelCard, model: RunnableModel, pictures: Sequence[Array]
) -> tuple[ModelCard, str, float | None]:
    """Return the card, without its class map where means of maps are not the logits; and why, and how far off."""
    if not isinstance(found.head, Head):
        return card, found.head, None
    largest = 0.0
    for picture in pictures:
        maps = model.layers(picture, [_CLASS_MAP])
        means = maps[_CLASS_MAP].mean(axis=(2, 3), dtype=np.float64) + found.head.bias
        largest = max(largest, float(np.abs(means - maps["logits"]).max() / max(1e-6, np.ptp(maps["logits"]))))
    if largest <= LARGEST_DIFFERENCE:
        return card, "exact", largest
    layers = [layer for layer in card.layers if layer.name != _CLASS_MAP]
    without = card.model_copy(update={"layers": layers, "class_map": None, "class_bias": []})
    return without, f"a map's mean is {largest:.2g} of the logits' range from its logit", largest


def _compare(
    found: _Found, model: RunnableModel, card: ModelCard, pictures: Sequence[Array]
) -> tuple[float, bool | None]:
    """Compare the imported network with the original file on pictures: the largest difference, and the best class."""
    source, original = found.source, found.original.model
    rows = _first_axis(original)
    logits, last = found.logits, found.layers[-1] if found.layers else None
    tensor = logits.tensor if logits else last.tensor if last else found.output
    session = open_model(with_outputs(original, [tensor]))
    largest, same = 0.0, True
    for picture in pictures:
        given = source.shaped(found.preprocess.apply(np.repeat(picture, rows, 0)))
        expected = session.run([tensor], {source.name: given})[0][:1].astype(np.float64)
        if logits is None:
            assert last is not None
            came = _as_tensor(model.layers(picture, [last.name])[last.name], last)
            expected = _places(expected, last)
        else:
            came, expected = model.logits(picture), _as_logits(expected, logits.kind)
            same = same and int(came.argmax()) == int(expected.argmax())
        largest = max(largest, float(np.abs(came - expected).max() / max(1e-6, np.ptp(expected))))
    return largest, same if logits else None


def _first_axis(model: onnx.ModelProto) -> int:
    """Return how many pictures a file takes at a time; one where it takes any number."""
    weights = {tensor.name for tensor in model.graph.initializer}
    value = next(value for value in model.graph.input if value.name not in weights)
    return max(1, int(value.type.tensor_type.shape.dim[0].dim_value))


def _as_logits(values: Array, kind: str) -> Array:
    values = values.reshape(len(values), -1)
    if kind == "probabilities":
        return np.asarray(np.log(np.maximum(values, 1e-30)))
    return np.concatenate([np.zeros_like(values), values], 1) if kind == "one_sided" else values


def _as_tensor(maps: Array, layer: Chosen) -> Array:
    return maps.reshape(*maps.shape[:2], -1) if "t" in layer.view.roles else maps


def _places(values: Array, layer: Chosen) -> Array:
    """Return a tensor of the original as maps, tokens without those that are no places."""
    roles, grid = layer.view.roles, layer.view.grid
    if "t" in roles:
        assert grid is not None
        values = values.transpose(0, roles.index("c"), roles.index("t"))
        return values[:, :, grid.before : grid.before + grid.rows * grid.columns]
    return values.transpose([roles.index(role) for role in "nchw"])


def _resident() -> int | None:
    """Return this process's resident memory in bytes; None where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
    except (OSError, ValueError, IndexError):
        return None


def _findings(found: _Found, card: ModelCard, wrong: set[str]) -> list[Finding]:
    """List what was found out, for the report."""
    source, freed = found.source, found.freed
    layers = ", ".join(layer.name for layer in card.layers)
    everywhere = sum(layer.receptive_field.everywhere for layer in card.layers)
    sizes = "this size alone" if source.fixed else f"any from {freed.smallest[0]}x{freed.smallest[1]}"
    if freed.multiple_of > 1 and not source.fixed:
        sizes += f", multiples of {freed.multiple_of}"
    fields = f"{len(card.layers) - everywhere} bounded, {everywhere} everywhere"
    rows = [
        ("input", f"{source.name}: {source.layout}, {source.channels} channels, {source.dtype}", "the file"),
        ("size", f"{source.width}x{source.height}; takes {sizes}", "tried"),
        ("batch", "any" if source.batch is None else str(source.batch), "tried"),
        ("preprocessing", found.preprocess.sentence(), found.preprocess.source),
        ("logits", f"{found.logits.tensor}: {found.logits.found}" if found.logits else "none: no classes", "the file"),
        ("classes", f"{len(found.labels)}" if found.labels else "none", _labels_from(found)),
        ("layers", f"{len(card.layers)}: {layers}", "the graph"),
        ("receptive fields", fields, f"the graph; moved pixels refuted {len(wrong)}"),
    ]
    return [Finding(what=what, found=text, source=where) for what, text, where in rows]


def _labels_from(found: _Found) -> str:
    if found.labels or not found.labels_from:
        return found.labels_from or "nothing names any"
    return f"no output has one number for each label of {found.labels_from}"


def next_version(repository: Path, name: str) -> int:
    """Return the version after the newest of a model."""
    return max((entry.version for entry in catalogue.entries(repository) if entry.name == name), default=0) + 1
