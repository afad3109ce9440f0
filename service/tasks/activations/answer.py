"""The answers of ``/activations``: JSON with heatmaps in it, or arrays."""

from __future__ import annotations

import base64
import io

import numpy as np

from service.api.activations import (
    ActivationsResponse,
    ChannelEnergy,
    ChannelHeatmap,
    ClassMap,
    FeatureMatch,
    Heatmap,
    LayerActivation,
    Peak,
)
from service.pictures.colour_maps import Map, heatmap_png, overlay_png, scale_for
from service.pictures.picture import Picture
from service.tasks.activations.activate import Activations, SeenLayer
from service.tasks.activations.class_map import SeenClass
from service.tasks.activations.feature_match import Box, LayerMatch


def to_response(activations: Activations, overlay: bool) -> ActivationsResponse:
    """Convert activations to the JSON answer, heatmaps as base64 PNGs."""
    picture, card = activations.picture, activations.card
    height, width = picture.pixels.shape[:2]
    backdrop = picture if overlay else None
    return ActivationsResponse(
        model=card.name,
        version=card.version,
        width=picture.width,
        height=picture.height,
        analysed_width=width,
        analysed_height=height,
        classes=activations.classes,
        layers=[_layer_response(layer, picture, backdrop) for layer in activations.layers],
        class_map=_class_response(activations.class_map, backdrop),
        timing=activations.timing,
    )


def to_npz(activations: Activations) -> bytes:
    """Write the raw numbers as a NumPy ``.npz``.

    For each layer ``<layer>`` holds the chosen channels ``(n, H, W)`` and ``<layer>.channels`` their numbers;
    ``<layer>.match`` the similarity to the template; ``class:<label>`` the class's map; logits are not in it.
    """
    arrays: dict[str, np.ndarray] = {}
    for layer in activations.layers:
        arrays[layer.card.name] = layer.maps[layer.chosen]
        arrays[f"{layer.card.name}.channels"] = np.array(layer.chosen)
        if layer.match is not None:
            arrays[f"{layer.card.name}.match"] = layer.match.scores
    if activations.class_map is not None:
        arrays[f"class:{activations.class_map.label}"] = activations.class_map.values
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def to_sent(box: Box, picture: Picture) -> Box:
    """Convert a box from pixels of the analysed picture to pixels of the picture as it was sent."""
    height, width = picture.pixels.shape[:2]
    return box.scaled(picture.width / width, picture.height / height)


def _heatmap(values: Map, signed: bool, backdrop: Picture | None) -> Heatmap:
    scale = scale_for(values, signed)
    png = heatmap_png(values, scale) if backdrop is None else overlay_png(values, scale, backdrop.pixels)
    return Heatmap(low=scale.low, high=scale.high, png=base64.b64encode(png).decode())


def _layer_response(layer: SeenLayer, picture: Picture, backdrop: Picture | None) -> LayerActivation:
    labels = layer.card.labels
    heatmaps = [
        ChannelHeatmap(
            channel=channel,
            label=labels[channel] if labels else None,
            **_heatmap(layer.maps[channel], layer.card.signed, backdrop).model_dump(),
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
        match=None if layer.match is None else _match_response(layer.match, picture),
    )


def _match_response(found: LayerMatch, picture: Picture) -> FeatureMatch:
    peaks = []
    for box, score in found.peaks:
        sent = to_sent(box, picture)
        peaks.append(Peak(x=sent.x, y=sent.y, width=sent.width, height=sent.height, score=score))
    return FeatureMatch(peaks=peaks, **_heatmap(found.scores, True, None).model_dump())


def _class_response(seen: SeenClass | None, backdrop: Picture | None) -> ClassMap | None:
    if seen is None:
        return None
    return ClassMap(
        label=seen.label,
        index=seen.index,
        method=seen.method,
        exact=seen.is_exact,
        layer=seen.layer,
        mean=float(seen.values.mean(dtype=np.float64)),
        bias=seen.bias,
        logit=seen.logit,
        **_heatmap(seen.values, seen.signed, backdrop).model_dump(),
    )
