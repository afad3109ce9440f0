"""What was found out, a row each for the report."""

from __future__ import annotations

from models.cards.card import ModelCard
from models.imports.found import Found
from models.imports.report import Finding


def findings(found: Found, card: ModelCard, wrong: set[str]) -> list[Finding]:
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


def _labels_from(found: Found) -> str:
    if found.labels or not found.labels_from:
        return found.labels_from or "nothing names any"
    return f"no output has one number for each label of {found.labels_from}"
