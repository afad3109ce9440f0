"""Parameters and times of layers are those of the nodes that each layer is made from, each node counted once."""

import numpy as np
import onnx
import pytest

from models.cards.catalogue import bundled_repository, entries, find
from models.runtime.layer_costs import layer_costs
from models.runtime.load import load_model
from scs.errors import ModelError
from tests.service.hostile_models import put_model
from tests.service.pixel_model import put_pixels

BUNDLED = list(entries(bundled_repository()))
# The second layer is listed first, and both are made from a shared convolution; weights lie in constants, too.
FORKED = """
<ir_version: 8, opset_import: ["": 18]> g (uint8[N,H,W,1] image) => (float[N,2] logits)
<float[4,1,3,3] w, float[2,4,1,1] v> {
    f = Cast <to = 1> (image)
    x = Transpose <perm = [0, 3, 1, 2]> (f)
    shared = Conv <pads = [1, 1, 1, 1]> (x, w)
    early = Relu (shared)
    negative = Neg (shared)
    scale = Constant <value = float[1] {2.0}> ()
    scaled = Mul (negative, scale)
    late = Conv <strides = [2, 2]> (scaled, v)
    axes = Constant <value = int64[2] {2, 3}> ()
    logits = ReduceMean <keepdims = 0> (late, axes)
}
"""


def put_forked(repository):
    model = onnx.parser.parse_model(FORKED)
    for weight in model.graph.initializer:
        weight.raw_data = np.ones(tuple(weight.dims), np.float32).tobytes()
        weight.ClearField("float_data")
    if not model.graph.initializer:
        shapes = {"w": (4, 1, 3, 3), "v": (2, 4, 1, 1)}
        model.graph.initializer.extend(
            onnx.numpy_helper.from_array(np.ones(shape, np.float32), name) for name, shape in shapes.items()
        )
        del model.graph.value_info[:]
    field = {"size": 3, "stride": 1, "offset": -1}
    layers = [
        {"name": name, "tensor": name, "channels": channels, "receptive_field": field, "signed": True}
        for name, channels in (("late", 2), ("early", 4))
    ]
    put_model(repository, "forked", model, layers=layers)
    return find(repository, "forked")


@pytest.mark.parametrize("entry", BUNDLED, ids=lambda entry: entry.name)
def test_shapes_are_those_of_the_maps_and_all_time_is_some_layers(entry):
    card = entry.card()
    costs = layer_costs(entry.verified_bytes(), card)
    assert [each.name for each in costs] == [*(layer.name for layer in card.layers), "logits"]
    blank = np.zeros((1, card.input.height, card.input.width, card.input.channels), np.uint8)
    maps = load_model(entry.verified_bytes(), card, "cpu").layers(blank, [layer.name for layer in card.layers])
    assert [each.shape for each in costs] == [maps[each.name].shape[1:] for each in costs]
    assert all(each.milliseconds > 0 for each in costs)
    # Some scales are folded into others, and there are numbers that nobody learned: a mean and a deviation, say.
    assert 0.9 * card.parameters < sum(each.parameters for each in costs) < 1.01 * card.parameters


def test_what_two_layers_share_is_the_first_ones(tmp_path):
    entry = put_forked(tmp_path)
    late, early, rest = layer_costs(entry.verified_bytes(), entry.card())
    assert (late.name, late.parameters, late.shape) == ("late", 2 * 4 + 1, (2, 4, 4))
    assert (early.name, early.parameters, early.shape) == ("early", 4 * 9, (4, 8, 8))
    assert (rest.parameters, rest.shape) == (0, (2,))


def test_a_graph_of_a_fixed_batch_is_measured_with_that(tmp_path):
    put_pixels(tmp_path, "fixed", 6, 5, batch=4)
    entry = find(tmp_path, "fixed")
    assert [each.shape for each in layer_costs(entry.verified_bytes(), entry.card())] == [(3, 5, 6), (3,)]


def test_a_layer_that_the_graph_does_not_have_is_named(tmp_path):
    put_pixels(tmp_path, "pixels", 6, 5)
    entry = find(tmp_path, "pixels")
    card = entry.card()
    lacking = card.model_copy(update={"layers": [card.layers[0].model_copy(update={"tensor": "other"})]})
    with pytest.raises(ModelError, match="tensor 'other' that the graph does not have"):
        layer_costs(entry.verified_bytes(), lacking)
