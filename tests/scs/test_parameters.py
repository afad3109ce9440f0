"""From a dense layer to a convolution, step by step."""

import numpy as np
import pytest
import torch
from torch import nn

from lab.convolution import correlate, correlation_matrix
from scs.errors import ShapeError
from scs.parameters import convolution, dense, local, shared

INPUTS, OUTPUTS = (32, 32, 3), (28, 28, 64)


def test_the_numbers_that_are_told_of_it():
    assert dense(INPUTS, OUTPUTS) == 154_140_672 and convolution(INPUTS, OUTPUTS) == 4_800
    assert round(dense(INPUTS, OUTPUTS) / convolution(INPUTS, OUTPUTS)) == 32_113


def test_they_are_those_of_torch_without_biases():
    for count, layer in (
        (dense((6, 5, 3), (4, 4, 2)), nn.Linear(6 * 5 * 3, 4 * 4 * 2, bias=False)),
        (convolution((6, 5, 3), (4, 4, 2)), nn.Conv2d(3, 2, (3, 2), bias=False)),
    ):
        assert count == layer.weight.numel()


def test_the_matrix_of_a_convolution_is_a_dense_layer_of_local_and_shared_weights():
    inputs, outputs = (7, 6, 2), (5, 5, 3)
    w = np.random.default_rng(0).permutation(np.arange(1.0, 1 + convolution(inputs, outputs))).reshape(3, 2, 3, 2)
    matrix = correlation_matrix(w, inputs[:2], "valid")
    assert matrix.shape[0] * matrix.shape[1] == dense(inputs, outputs)
    assert matrix.nnz == local(inputs, outputs)
    assert np.unique(matrix.data).size == convolution(inputs, outputs)


def test_shared_weights_are_one_for_each_step_between_two_places():
    steps = {(row - y, column - x) for row in range(7) for column in range(6) for y in range(5) for x in range(5)}
    assert shared((7, 6, 2), (5, 5, 3)) == len(steps) * 2 * 3


def test_a_kernel_of_one_pixel_is_a_dense_layer_for_each_pixel():
    random = np.random.default_rng(1)
    x, w = random.normal(size=(3, 6, 5)), random.normal(size=(4, 3, 1, 1))
    layer = nn.Linear(3, 4, bias=False, dtype=torch.float64)
    layer.weight = nn.Parameter(torch.from_numpy(w[..., 0, 0]))
    each = layer(torch.from_numpy(x).movedim(0, -1)).movedim(-1, 0).detach().numpy()
    assert correlate(x, w) == pytest.approx(each)
    assert convolution((6, 5, 3), (6, 5, 4)) == dense((1, 1, 3), (1, 1, 4))


def test_a_picture_that_would_have_to_grow_and_one_of_nothing_are_refused():
    with pytest.raises(ShapeError, match=r"does not grow, but \(4, 4\) is to become \(5, 4\)"):
        convolution((4, 4, 1), (5, 4, 1))
    with pytest.raises(ShapeError, match=r"each 1 or more; \(4, 0, 1\) came"):
        dense((4, 4, 1), (4, 0, 1))
