import math

import numpy as np
import pytest

from scs.matching import scores
from scs.matching.methods import METHODS
from scs.matching.scoring.maps import ScoreMap, allowed_error, in_units, runs_alike

FLOAT, DOUBLE = np.dtype(np.float32), np.dtype(np.float64)


def test_the_public_name_of_a_map_is_among_the_scores():
    assert scores.ScoreMap is ScoreMap


def test_float32_will_never_do_for_pixels_in_float64_or_for_differences():
    assert allowed_error(METHODS["ccoeff_normed"], DOUBLE, 2.0, 1.0) == 0
    assert allowed_error(METHODS["sqdiff"], FLOAT, 2.0, None) == 0


def test_float32_always_does_for_products_that_are_not_normalised():
    assert allowed_error(METHODS["ccorr"], FLOAT, 2.0, None) == math.inf


def test_a_fainter_patch_and_a_sharper_exponent_allow_less_error():
    cosine, similarity = METHODS["ccoeff_normed"], METHODS["scs"]
    assert allowed_error(cosine, FLOAT, 1.0, 10.0) == pytest.approx(allowed_error(cosine, FLOAT, 1.0, 1.0) / 10)
    assert allowed_error(similarity, FLOAT, 4.0, 1.0) == pytest.approx(allowed_error(cosine, FLOAT, 4.0, 1.0) / 4)


def test_scores_grow_by_the_square_of_the_scale():
    assert in_units(np.float32([[1, -2]]), 3.0).tolist() == [[9, -18]]


def test_scores_that_float32_cannot_hold_keep_their_order_below_its_largest():
    found = in_units(np.float32([[1, -2]]), 1e30)
    assert found.dtype == np.float32 and np.isfinite(found).all()
    assert found[0, 1] == pytest.approx(-2 * found[0, 0])


def test_neighbours_of_one_size_and_one_mask_come_together():
    small, large, mask = np.zeros((2, 2, 1)), np.zeros((3, 2, 1)), np.ones((1, 2, 2))
    templates = [(small, None), (small, None), (small, mask), (large, None), (small, None)]
    assert [len(list(alike)) for alike in runs_alike(templates)] == [2, 1, 1, 1]
