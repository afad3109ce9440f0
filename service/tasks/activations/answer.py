"""The answers of ``/activations``: JSON with heatmaps in it, arrays, or both."""

from __future__ import annotations

import base64
import io
import re
import zipfile
from collections.abc import Callable

import numpy as np

from scs.printable import printable
from service.api.activations import (
    ActivationsResponse,
    AnalysedRegion,
    ChannelEnergy,
    ChannelHeatmap,
    ClassMap,
    FeatureMatch,
    Heatmap,
    LayerActivation,
    Peak,
)
from service.api.files import ANSWER_FILE
from service.colours import ColourScale, Map, scale_for
from service.pictures.colour_maps import heatmap_png, overlay_png
from service.pictures.picture import Picture
from service.tasks.activations.activate import Activations, SeenLayer
from service.tasks.activations.class_map import SeenClass
from service.tasks.activations.coordinates import backdrop, to_sent
from service.tasks.activations.feature_match import LayerMatch

_Draw = Callable[[Map, ColourScale], bytes]


def to_response(activations: Activations, overlay: bool, drawn: bool = True) -> ActivationsResponse:
    """Convert activations to the JSON answer, heatmaps as base64 PNGs, or as empty strings where none is drawn."""
    picture, card = activations.picture, activations.card
    height, width = picture.pixels.shape[:2]
    plain = heatmap_png if drawn else _drawn_nowhere
    draw = _laying_over(activations) if overlay and drawn else plain
    return ActivationsResponse(
        model=card.name,
        version=card.version,
        width=picture.width,
        height=picture.height,
        analysed_width=width,
        analysed_height=height,
        analysed_region=AnalysedRegion(**picture.region._asdict()),
        classes=activations.classes,
        layers=[_layer_response(layer, picture, draw, plain) for layer in activations.layers],
        class_map=_class_response(activations.class_map, draw),
        timing=activations.timing,
    )


def to_arrays(activations: Activations) -> dict[str, np.ndarray]:
    """Return the raw numbers by name.

    For each layer ``<layer>`` holds the chosen channels ``(n, H, W)`` and ``<layer>.channels`` their numbers;
    ``<layer>.input`` what its kernels are laid over, ``(C, H, W)``;
    ``<layer>.match`` the similarity to the template, and ``<layer>.peaks`` where that is best, ``(n, 5)``: x, y, width
    and height in pixels of the picture as it was sent, and the score; ``class:<label>`` the class's map, with ``_``
    for every slash of the label, which makes no path then; logits are not in it. Of a picture that is cropped or
    padded, ``analysed_region`` has what the maps cover, as the JSON answer has it.
    """
    arrays: dict[str, np.ndarray] = {}
    if activations.picture.part is not None:
        arrays["analysed_region"] = np.array(activations.picture.part)
    for layer in activations.layers:
        arrays[layer.card.name] = layer.maps[layer.chosen]
        arrays[f"{layer.card.name}.channels"] = np.array(layer.chosen)
        if layer.input is not None:
            arrays[f"{layer.card.name}.input"] = layer.input
        if layer.match is not None:
            arrays[f"{layer.card.name}.match"] = layer.match.scores
            arrays[f"{layer.card.name}.peaks"] = np.array(
                [
                    [each.x, each.y, each.width, each.height, each.score]
                    for each in peaks_of(layer.match, activations.picture)
                ],
                dtype=np.float64,
            ).reshape(-1, 5)
    if activations.class_map is not None:
        arrays[f"class:{_file_name(activations.class_map.label)}"] = activations.class_map.values
    return arrays


def to_npz(activations: Activations) -> bytes:
    """Write the raw numbers of :func:`to_arrays` as a NumPy ``.npz``."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **to_arrays(activations))
    return buffer.getvalue()


def to_zip(activations: Activations) -> bytes:
    """Write the archive of ``to_npz``, and in it the JSON answer without its pictures, as ``answer.json``."""
    buffer = io.BytesIO(to_npz(activations))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(ANSWER_FILE, to_response(activations, overlay=False, drawn=False).model_dump_json())
    return buffer.getvalue()


def _file_name(label: str) -> str:
    """Return a label as part of the name of a file in an archive, where it must not be a path."""
    return re.sub(r"[/\\]", "_", printable(label))


def _drawn_nowhere(values: Map, scale: ColourScale) -> bytes:
    return b""


def _laying_over(activations: Activations) -> _Draw:
    heatmaps = sum(len(layer.chosen) for layer in activations.layers) + (activations.class_map is not None)
    picture, region = backdrop(activations.picture, heatmaps)
    return lambda values, scale: overlay_png(values, scale, picture, region=region)


def _heatmap(values: Map, signed: bool, draw: _Draw) -> Heatmap:
    scale = scale_for(values, signed)
    return Heatmap(low=scale.low, high=scale.high, png=base64.b64encode(draw(values, scale)).decode())


def _layer_response(layer: SeenLayer, picture: Picture, draw: _Draw, plain: _Draw) -> LayerActivation:
    labels = layer.card.labels
    heatmaps = [
        ChannelHeatmap(
            channel=channel,
            label=labels[channel] if labels else None,
            **_heatmap(layer.maps[channel], layer.card.signed, draw).model_dump(),
        )
        for channel in layer.chosen
    ]
    channels, height, width = layer.maps.shape
    return LayerActivation(
        name=layer.card.name,
        shape=(channels, height, width),
        receptive_field=layer.card.receptive_field,
        signed=layer.card.signed,
        energies=[ChannelEnergy(channel=channel, energy=energy) for channel, energy in layer.energies],
        heatmaps=heatmaps,
        match=None if layer.match is None else _match_response(layer.match, picture, plain),
    )


def peaks_of(found: LayerMatch, picture: Picture) -> list[Peak]:
    """Return where a template's features occur in a layer, in pixels of the picture as it was sent."""
    peaks = []
    for box, score in found.peaks:
        sent = to_sent(box, picture)
        peaks.append(Peak(x=sent.x, y=sent.y, width=sent.width, height=sent.height, score=score))
    return peaks


def _match_response(found: LayerMatch, picture: Picture, draw: _Draw) -> FeatureMatch:
    return FeatureMatch(peaks=peaks_of(found, picture), **_heatmap(found.scores, True, draw).model_dump())


def _class_response(seen: SeenClass | None, draw: _Draw) -> ClassMap | None:
    if seen is None:
        return None
    return ClassMap(
        label=seen.label,
        index=seen.index,
        method=seen.method,
        exact=seen.is_exact,
        layer=seen.layer,
        pooling=seen.pooling,
        mean=seen.pooled("mean"),
        maximum=seen.pooled("maximum"),
        bias=seen.bias,
        logit=seen.logit,
        **_heatmap(seen.values, seen.signed, draw).model_dump(),
    )
