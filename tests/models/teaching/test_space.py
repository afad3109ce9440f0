"""The space of features: what shrinkage leaves, and that few pictures and many give the same directions."""

import numpy as np
import pytest

from models.teaching.space import spectrum


def features(pictures, channels, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(pictures, channels)) @ random.normal(size=(channels, channels)) + 3


@pytest.mark.parametrize("pictures, channels", [(40, 12), (9, 12)])
def test_without_shrinkage_variances_are_equal_along_all_directions_there_are(pictures, channels):
    found = spectrum(features(pictures, channels))
    placed = found.space(1e-9).place(features(pictures, channels))
    variances = np.linalg.eigvalsh(np.cov(placed.T))[::-1][: min(pictures - 1, channels)]
    assert variances == pytest.approx(np.full(len(variances), variances.mean()), rel=1e-4)


def test_with_all_shrinkage_features_are_centred_and_scaled_only():
    given = features(9, 12)
    space = spectrum(given).space(1.0)
    assert not len(space.gains)
    assert space.place(given) == pytest.approx((given - given.mean(0)) / space.scale)


def test_a_channel_that_hardly_varies_is_not_blown_up():
    given = features(20, 6)
    given[:, 2] = 5 + 1e-9 * given[:, 2]
    assert np.abs(spectrum(given).space(1.0).place(given)[:, 2]).max() < 1e-6


def test_pictures_that_are_all_alike_lie_at_the_centre():
    given = np.full((3, 4), 7.0)
    assert spectrum(given).space(0.5).place(given) == pytest.approx(np.zeros((3, 4)))
