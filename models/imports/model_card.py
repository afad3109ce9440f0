"""The card of an imported network, before its claims are checked."""

from __future__ import annotations

import numpy as np

from models.cards.card import CARD_VERSION, ImportCard, InputCard, LayerCard, ModelCard, PreprocessCard, ServingCard
from models.imports.found import Found
from models.imports.graphs import FLOATS

FAMILY = "imported"
CLASS_MAP = "class_map"


def model_card(found: Found, name: str, version: int, layers: list[LayerCard], class_bias: list[float]) -> ModelCard:
    """Return the card of a network, of which the sum of the file and the difference are not known yet."""
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
        class_map=CLASS_MAP if class_bias else None,
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


def _assumptions(found: Found) -> list[str]:
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
