import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from skimage import color

from service.colours import CENTRE, DIVERGING, SEQUENTIAL, ColourScale, colourise, scale_for

maps = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.floats(width=32))

# How colours look without red, and without green, receptors: G. M. Machado et al., "A Physiologically-based Model for
# Simulation of Color Vision Deficiency" (2009), severity 1, for linear RGB.
PROTANOPIA = np.array(
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
)
DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
)


def seen_with(deficiency, colours):
    linear = (colours / 255) ** 2.2
    return color.rgb2lab(((linear @ deficiency.T).clip(0, 1) ** (1 / 2.2))[None])[0]


def test_zero_is_exactly_white_on_a_signed_scale():
    values = np.array([[-3.0, 0.0, 1.5]])
    indices = colourise(values, scale_for(values, signed=True))

    assert DIVERGING[CENTRE].tolist() == [255, 255, 255]
    assert indices.tolist() == [[1, CENTRE, 192]]


def test_opposite_numbers_are_equally_far_from_white():
    values = np.linspace(-1, 1, 255)[None]
    indices = colourise(values, scale_for(values, signed=True)).astype(int)
    assert np.array_equal(indices - CENTRE, -(indices - CENTRE)[:, ::-1])


def test_an_unsigned_scale_runs_from_zero_to_the_largest_value():
    values = np.array([[2.0, 3.0, 4.0]])
    scale = scale_for(values, signed=False)

    assert (scale.low, scale.high, scale.ticks) == (0, 4, (0, 4))
    assert colourise(np.array([[0.0, 4.0]]), scale).tolist() == [[0, 255]]


def test_an_unsigned_scale_reaches_down_to_negative_values():
    assert scale_for(np.array([-2.0, 6.0]), signed=False) == ColourScale(-2, 6, signed=False)


def test_a_signed_scale_reaches_as_far_below_zero_as_above():
    scale = scale_for(np.array([-5.0, 2.0]), signed=True)
    assert scale == ColourScale(-5, 5, signed=True)
    assert scale.ticks == (-5, 0, 5)


def test_one_scale_can_hold_several_maps():
    assert scale_for(np.arange(24.0).reshape(2, 3, 4), signed=False).high == 23


@pytest.mark.parametrize(("signed", "index"), [(True, CENTRE), (False, 0)])
def test_a_blank_map_has_the_colour_of_zero_everywhere(signed, index):
    blank = np.zeros((3, 4), np.float32)
    scale = scale_for(blank, signed)

    assert scale.ticks == (0,)
    assert (colourise(blank, scale) == index).all()


@given(values=maps, signed=st.booleans())
def test_any_map_whatsoever_has_colours_in_the_order_of_its_numbers(values, signed):
    scale = scale_for(values, signed)
    indices = colourise(values, scale)

    assert np.isfinite([scale.low, scale.high]).all()
    assert scale.low <= 0 <= scale.high
    order = np.argsort(np.nan_to_num(values), axis=None)
    assert (np.diff(indices.ravel()[order].astype(int)) >= 0).all()


def test_the_sequential_colours_only_get_lighter():
    for deficiency in (np.eye(3), PROTANOPIA, DEUTERANOPIA):
        assert (np.diff(seen_with(deficiency, SEQUENTIAL)[:, 0]) > -0.1).all()


def test_both_ends_of_the_diverging_colours_only_get_darker_and_stay_apart():
    for deficiency in (np.eye(3), PROTANOPIA, DEUTERANOPIA):
        lab = seen_with(deficiency, DIVERGING)
        assert (np.diff(lab[1 : CENTRE + 1, 0]) > 0).all()
        assert (np.diff(lab[CENTRE:, 0]) < 0).all()
        steps = np.arange(16, 128)  # from an eighth of the way out
        assert color.deltaE_cie76(lab[CENTRE - steps[:-1]], lab[CENTRE + steps[:-1]]).min() > 15
