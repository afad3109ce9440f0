"""Two layers of many channels are one."""

import numpy as np
import pytest

from scs.errors import ShapeError
from scs.stacks import compose_layers


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def correlated(x, kernels, stride=1):
    """Correlation (K, H', W') of (C, H, W) with kernels (K, C, h, w), by definition."""
    patches = np.lib.stride_tricks.sliding_window_view(x, kernels.shape[2:], axis=(1, 2))[:, ::stride, ::stride]
    return np.einsum("cyxij,kcij->kyx", patches, kernels)


@pytest.mark.parametrize("stride", [1, 2])
def test_two_layers_of_many_channels_are_one(stride):
    x, first, second = drawn(3, 14, 15), drawn(4, 3, 3, 2), drawn(2, 4, 2, 3, seed=1)
    expected = correlated(correlated(x, first, stride), second)
    np.testing.assert_allclose(correlated(x, compose_layers(first, second, stride), stride), expected)


def test_layers_that_do_not_fit_are_refused_with_what_came():
    with pytest.raises(ShapeError, match=r"\(2, 1, 3, 3\) and \(1, 3"):
        compose_layers(np.ones((2, 1, 3, 3)), np.ones((1, 3, 3, 3)))
