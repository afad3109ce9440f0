"""A circular stack of stride 1 follows every shift; borders and pooling break that, and a blur mends some of it."""

import json

import numpy as np
import pytest
from PIL import Image

from lab.equivariance import MEAN, STACKS, draw, errors, leaves, run, tables

PICTURES = leaves(8, np.random.default_rng(1))
CIRCULAR, ZEROS, POOLED, BLURRED = STACKS.values()


@pytest.fixture(scope="module")
def figures():
    return run(True, lambda done, total: None)


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


def test_the_figures_are_json_and_so_are_their_tables(figures):
    again = json.loads(json.dumps(figures))
    assert tables(again) == tables(figures)
    assert all(len(row) == len(table.heads) for table in tables(figures).values() for row in table.rows)


def test_the_progress_ends_where_it_said_it_would():
    steps = []
    run(True, lambda done, total: steps.append((done, total)))
    assert [done for done, _ in steps] == list(range(1, steps[-1][1] + 1))


def test_the_pictures_are_drawn(figures, tmp_path):
    for path in draw(figures, tmp_path):
        with Image.open(path) as picture:
            assert picture.width == 1000
