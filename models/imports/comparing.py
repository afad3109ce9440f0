"""How far the answers of an imported network are from those of the original file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from models.cards.card import ModelCard
from models.imports.found import Found
from models.imports.layers import Chosen
from models.imports.trial import Trial, with_outputs
from models.runtime.load import RunnableModel
from scs.errors import ModelError

Array = NDArray[Any]


def compare(
    found: Found, model: RunnableModel, card: ModelCard, pictures: Sequence[Array]
) -> tuple[float, bool | None]:
    """Compare the imported network with the original file on pictures: the largest difference, and the best class."""
    source, original = found.source, found.original.model
    rows = _first_axis(original)
    logits, last = found.logits, found.layers[-1] if found.layers else None
    tensor = logits.tensor if logits else last.tensor if last else found.output
    session = Trial(with_outputs(original, [tensor]))
    largest, same = 0.0, True
    for picture in pictures:
        given = source.shaped(found.preprocess.apply(np.repeat(picture, rows, 0)))
        expected = session.run([tensor], {source.name: given})[0][:1].astype(np.float64)
        if not np.isfinite(expected).all():
            raise ModelError("the network needs to answer with finite numbers; on noise it answers NaN or infinity")
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
    dims = value.type.tensor_type.shape.dim
    return max(1, int(dims[0].dim_value)) if dims else 1


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
