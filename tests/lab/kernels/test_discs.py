import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.kernels.discs import as_planes, centred_norms, disc_weights, polar_coordinates
from scs.errors import OptionError, ShapeError


def oracle(scene, weights):
    """From the definition: each window's weighted deviations from its own means."""
    height, width = weights.shape
    norms = np.zeros((scene.shape[0] - height + 1, scene.shape[1] - width + 1))
    for row, column in np.ndindex(*norms.shape):
        window = scene[row : row + height, column : column + width]
        means = (weights[..., None] * window).sum((0, 1)) / weights.sum()
        norms[row, column] = np.sqrt((weights[..., None] * np.square(window - means)).sum())
    return norms


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 5), st.integers(0, 100))
def test_norms_are_those_of_the_definition(height, width, channels, seed):
    scene = 200 + 20 * np.random.default_rng(seed).standard_normal((12, 14, channels))
    weights = disc_weights(height, width)
    np.testing.assert_allclose(centred_norms(scene, weights), oracle(scene, weights), atol=1e-5)


def test_a_flat_window_has_norm_zero_beside_a_lively_one():
    scene = np.random.default_rng(0).integers(0, 65536, (30, 40, 1)).astype(np.float64)
    scene[:, 20:] = 65535
    norms = centred_norms(scene, disc_weights(8, 8))
    assert (norms[:, 20:] == 0).all()
    assert (norms[:, :13] > 0).all()


def test_a_scene_of_one_colour_is_flat_everywhere():
    assert not centred_norms(np.full((20, 20, 3), 254.7), disc_weights(7, 5)).any()


def test_a_quarter_turn_leaves_the_disc_as_it_is():
    weights = disc_weights(9, 9)
    np.testing.assert_array_equal(np.rot90(weights), weights)
    assert weights[4, 4] == 1
    assert weights[0, 0] == 0


def test_a_disc_in_an_oblong_window_is_as_wide_as_its_shorter_side():
    assert np.flatnonzero(disc_weights(8, 20).any(0)).tolist() == list(range(6, 14))


def test_angles_are_counter_clockwise_as_seen():
    radius, angle = polar_coordinates(3, 5)
    assert radius[1].tolist() == [2, 1, 0, 1, 2]
    assert angle[0, 2] == pytest.approx(np.pi / 2)


def test_only_pictures_have_discs():
    with pytest.raises(ShapeError, match=r"a scene that may be turned or scaled is .* but \(3,\) came"):
        as_planes("scene", np.zeros(3))
    with pytest.raises(OptionError, match="finite"):
        as_planes("scene", np.full((3, 3), np.nan))
