"""A circular stack of stride 1 follows every shift; borders and pooling break that, and a blur mends some of it."""

import numpy as np
import pytest

from lab.topics.equivariance import MEAN, STACKS, errors, leaves

PICTURES = leaves(8, np.random.default_rng(1))
CIRCULAR, ZEROS, POOLED, BLURRED = STACKS.values()


@pytest.fixture(scope="module")
def figures(quick):
    return quick("equivariance")[0]


@pytest.mark.parametrize("shift", [1, 5])
def test_every_layer_of_a_circular_stack_of_stride_1_errs_exactly_nothing(shift):
    assert set(errors(CIRCULAR, PICTURES, shift).values()) == {0}


def test_borders_add_the_more_the_more_layers_there_are():
    found = errors(ZEROS, PICTURES, 1)
    assert 0.01 < found["layer 1"] < found["layer 2"] < found["layer 3"]


@pytest.mark.parametrize("stack", [POOLED, BLURRED])
def test_a_pooled_layer_follows_the_shifts_that_its_stride_divides_and_no_others(stack):
    for shift in (1, 2, 3, 4):
        found = errors(stack, PICTURES, shift)
        for name, stride in stack.strides.items():
            assert found[name] == 0 if shift % stride == 0 else found[name] > 0.01, (name, shift)


@pytest.mark.parametrize("layer", ["layer 2", "layer 3", MEAN])
def test_a_blur_lowers_what_pooling_breaks(layer):
    assert errors(BLURRED, PICTURES, 1)[layer] < 0.7 * errors(POOLED, PICTURES, 1)[layer]
