"""The layers of ``scs activations`` as a table."""

from __future__ import annotations

from service.api.activations import ActivationsResponse, ClassMap, LayerActivation
from service.cli.printing.plain import PlainTable, say


def print_activations(answer: ActivationsResponse) -> None:
    """Print the best class, a row for each layer, and how a class map adds up to its logit if one was asked for."""
    best = next((f"{found.label}, {found.shown}" for found in answer.classes), "no classes")
    title = f"{answer.model} {answer.version}: {best}"
    matched = any(layer.match for layer in answer.layers)
    headings = ["layer", "channels", "map", "sees", "most energy"] + (["best place: x, y, score"] if matched else [])
    table = PlainTable(*headings, title=title)
    for layer in answer.layers:
        table.add_row(*_row(layer))
    table.show()
    if answer.class_map:
        say(_class_line(answer.class_map))


def _class_line(seen: ClassMap) -> str:
    if seen.pooling is not None:
        value = seen.mean if seen.pooling == "mean" else seen.maximum
        return f"{seen.label}: {seen.pooling} {value:+.4f} and bias {seen.bias:+.4f} make the logit {seen.logit:+.4f}"
    source = f"{seen.method} of {seen.layer}" if seen.layer else seen.method
    return f"{seen.label}: {source}, an approximation; the logit is {seen.logit:+.4f}"


def _row(layer: LayerActivation) -> list[str]:
    count, height, width = layer.shape
    strongest = ", ".join(str(energy.channel) for energy in layer.energies[:4])
    field = layer.receptive_field
    sees = f"{field.size} px" if field.across == field.size else f"{field.across} x {field.size} px"
    row = [layer.name, str(count), f"{width} x {height}", sees, strongest]
    if layer.match and layer.match.peaks:
        peak = layer.match.peaks[0]
        row.append(f"{peak.x:.0f}, {peak.y:.0f}, {peak.score:.3f}")
    return row
