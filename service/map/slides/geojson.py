"""Matches on a slide as GeoJSON, which QuPath and others open."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any


def to_geojson(matches: Iterable[dict[str, Any]]) -> str:
    """Write matches as a collection of rectangles, in pixels of the slide's largest level.

    Each has its ``objectType``, its ``classification``, which is the template's name, and its score among
    ``measurements``, as QuPath names them.

    Args:
        matches: each with ``name``, ``score``, and x, y, ``width`` and ``height`` of a box, x and y its centre.
    """
    return json.dumps({"type": "FeatureCollection", "features": [_feature(match) for match in matches]})


def _feature(match: dict[str, Any]) -> dict[str, Any]:
    left, top = match["x"] - match["width"] / 2, match["y"] - match["height"] / 2
    right, bottom = left + match["width"], top + match["height"]
    ring = [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {
            "objectType": "annotation",
            "classification": {"name": match["name"]},
            "measurements": {"score": match["score"]},
        },
    }
