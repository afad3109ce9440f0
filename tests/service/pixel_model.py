"""A network that shows what it was given: its only layer is the picture's pixels, its logits are their means."""

from __future__ import annotations

from pathlib import Path

import onnx

from tests.service.hostile_models import put_model

SEES_ITSELF = {"size": 1, "stride": 1, "offset": 0}
_GRAPH = """
    f = Cast <to = 1> (image)
    pixels = Transpose <perm = [0, 3, 1, 2]> (f)
    axes = Constant <value = int64[2] {2, 3}> ()
    logits = ReduceMean <keepdims = 0> (pixels, axes)
"""


def put_pixels(
    repository: Path, name: str, width: int, height: int, geometry: dict[str, object] | None = None, batch: object = "N"
) -> None:
    """Write version 1 of a network that takes pictures of any size, though its card says this one and this geometry."""
    head = f'<ir_version: 8, opset_import: ["": 18]> g (uint8[{batch},H,W,3] image) => (float[{batch},3] logits)'
    put_model(
        repository,
        name,
        onnx.parser.parse_model(f"{head} {{ {_GRAPH} }}"),
        labels=["red", "green", "blue"],
        input={"width": width, "height": height, "channels": 3, "smallest": 1, "geometry": geometry},
        layers=[{"name": "pixels", "tensor": "pixels", "channels": 3, "receptive_field": SEES_ITSELF, "signed": False}],
        class_map="pixels",
        class_bias=[0.0, 0.0, 0.0],
    )
