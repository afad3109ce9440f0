"""A pixel moves the units whose receptive field it lies in, and no others."""

import numpy as np
import pytest
import torch
from torch import nn

from models.export.receptive_field import ReceptiveField, receptive_fields
from models.networks import FAMILIES, Network
from models.style import Style
from scs.nn.layers import MaxAbsPool2d, SharpenedCosineSimilarity2d

SIDE = 48
PIXELS = np.arange(SIDE)


def sees(field, units):
    """(pixels, units): whether the pixel at that place of an axis lies in the field of the unit at that place."""
    first = field.offset + np.arange(units) * field.stride
    return (first <= PIXELS[:, None]) & (PIXELS[:, None] < first + field.size)


def moved(before, after):
    """(N, H', W'): whether any channel of a unit changed."""
    return ((after - before).abs() > 1e-12 * before.abs().max()).any(1).numpy()


def draw(images, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (images, SIDE, SIDE, 3), np.uint8))


STYLES = {
    "plain": Style(),
    "blurred": Style(blur=True),
    "by the mean": Style(pooling="mean", activation="prelu", lean=True),
}


@pytest.fixture(params=[(family, style) for family in FAMILIES for style in STYLES], ids=str)
def network(request):
    family, style = request.param
    torch.manual_seed(0)
    made = Network(family, 3, 4, (5, 6, 7, 7, 8), (1, 2), 3, [0.5] * 3, [0.25] * 3, STYLES[style], opening=1)
    return made.double().eval()


@torch.no_grad()
def test_a_new_row_or_column_moves_exactly_the_units_that_see_it(network):
    image = draw(1)
    before = network.layers(image)
    fields = receptive_fields(network)
    assert list(fields) == network.layer_names
    for axis in (1, 2):
        changed = image.repeat(SIDE, 1, 1, 1)
        lines = draw(SIDE, seed=1).transpose(1, axis)[:, 0]  # (SIDE, SIDE, 3), a line of pixels for each image
        changed.transpose(1, axis)[PIXELS, PIXELS] = lines
        after = network.layers(changed)
        for name, field in fields.items():
            units = moved(before[name], after[name]).any(3 - axis)  # (pixels, units) along the axis
            np.testing.assert_array_equal(units, sees(field, units.shape[1]), err_msg=name)


@torch.no_grad()
def test_a_new_pixel_moves_only_units_that_see_it_and_some_of_every_layer(network):
    image = draw(1)
    before = network.layers(image)
    pixels = [(0, 0), (47, 0), (23, 24), (13, 38), (30, 47)]
    changed = image.repeat(len(pixels), 1, 1, 1)
    for picture, (row, column) in zip(changed, pixels, strict=True):
        picture[row, column] = 255 - picture[row, column]
    after = network.layers(changed)
    for name, field in receptive_fields(network).items():
        units = moved(before[name], after[name])
        for reached, (row, column) in zip(units, pixels, strict=True):
            sees_row, sees_column = (
                sees(field, count)[place] for count, place in zip(reached.shape, (row, column), strict=True)
            )
            assert not (reached & ~np.outer(sees_row, sees_column)).any(), name
        assert units.any(), name


def test_the_fields_of_a_unit_in_the_middle_have_the_box_that_its_gradient_has(network):
    images = draw(40).double().requires_grad_()
    maps = network.layers(images)
    for name, field in receptive_fields(network).items():
        unit = maps[name].shape[2] // 2
        (gradient,) = torch.autograd.grad(maps[name][:, :, unit, unit].sum(), images, retain_graph=True)
        seen = (gradient != 0).any(0).any(2)  # (H, W)
        first = field.offset + unit * field.stride
        expected = np.arange(max(first, 0), min(first + field.size, SIDE))
        assert [seen.any(axis).nonzero().flatten().tolist() for axis in (1, 0)] == [expected.tolist()] * 2, name


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(3, 4, 3, stride=2, padding=1),
        nn.Conv2d(3, 4, 4, padding="same", dilation=2),
        nn.MaxPool2d(3, stride=2, padding=1),
        nn.AvgPool2d(2, stride=1, padding=1),
        MaxAbsPool2d(3, stride=1, padding=1),
        SharpenedCosineSimilarity2d(3, 4, 4, padding="same", dilation=3),
        SharpenedCosineSimilarity2d(3, 4, 3, stride=3, padding="full"),
        nn.Sequential(nn.Conv2d(3, 4, 5, stride=2), nn.ReLU(), nn.MaxPool2d(2)),
    ],
    ids=repr,
)
@torch.no_grad()
def test_strides_paddings_and_dilations_are_followed_one_through_another(layer):
    stack = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(3, 3, 2, padding=1), layer).double()
    field = ReceptiveField().through(stack)
    # Around 0, whatever the weights are: of pixels of one sign ReLU may silence a whole channel.
    noise = torch.Generator().manual_seed(0)
    image = torch.randn(1, 3, SIDE, SIDE, generator=noise, dtype=torch.float64)
    changed = image.repeat(SIDE, 1, 1, 1)
    changed[PIXELS, :, PIXELS] = torch.randn(SIDE, 3, SIDE, generator=noise, dtype=torch.float64)
    units = moved(stack(image), stack(changed)).any(2)  # (pixels, units)
    inside = sees(field, units.shape[1]).sum(0) == field.size
    assert inside.any()
    for unit in inside.nonzero()[0]:
        pixels = units[:, unit].nonzero()[0]  # a dilated kernel leaves some out
        first = field.offset + unit * field.stride
        assert (pixels.min(), pixels.max()) == (first, first + field.size - 1)
