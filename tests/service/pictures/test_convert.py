import numpy as np
import pytest

from service.pictures.convert import stretch


def test_numbers_are_stretched_from_black_to_white():
    assert stretch(np.array([[-2.0, 0.0], [1.0, 3.0]])).tolist() == [[0, 102], [153, 255]]


@pytest.mark.parametrize("same", [-7.0, 0.0, 1e300])
def test_numbers_that_are_all_the_same_are_black(same):
    assert not stretch(np.full((2, 3), same)).any()


def test_numbers_that_are_not_finite_count_as_zero():
    assert stretch(np.array([-1.0, np.nan, np.inf, -np.inf, 1.0])).tolist() == [0, 128, 128, 128, 255]
