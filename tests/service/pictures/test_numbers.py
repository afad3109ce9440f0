import numpy as np
import pytest

from service.pictures.numbers import stretch, to_8_bits, to_greys, valid


def test_numbers_are_stretched_from_black_to_white():
    assert stretch(np.array([[-2.0, 0.0], [1.0, 3.0]])).tolist() == [[0, 102], [153, 255]]


@pytest.mark.parametrize("same", [-7.0, 0.0, 1e300])
def test_numbers_that_are_all_the_same_are_black(same):
    assert not stretch(np.full((2, 3), same)).any()


def test_numbers_that_are_not_finite_are_black_and_do_not_count():
    assert stretch(np.array([-1.0, np.nan, np.inf, -np.inf, 1.0])).tolist() == [0, 0, 0, 0, 255]


@pytest.mark.parametrize("missing", [np.nan, np.inf, -9999.0, -3.4028235e38])
def test_a_missing_number_leaves_the_others_as_they_are(missing):
    heights = np.linspace(120, 480, 64).reshape(8, 8).astype(np.float32)
    holed = heights.copy()
    holed[3, 4] = missing
    whole, seen = to_greys(heights), to_greys(holed)
    assert seen[3, 4] == 0
    seen[3, 4] = whole[3, 4]
    assert np.array_equal(seen, whole)


def test_a_number_that_the_file_names_as_missing_is_left_out():
    heights = np.array([[100.0, 50.0], [-1.0, 300.0]])
    assert to_greys(heights, no_data=-1.0).tolist() == [[51, 0], [0, 255]]
    assert to_greys(heights).tolist() == [[86, 43], [0, 255]]


def test_low_numbers_that_do_not_stand_apart_are_measurements():
    depths = np.linspace(-9999, -9000, 16).reshape(4, 4)
    assert valid(depths).all()


def test_numbers_within_a_usual_range_are_not_stretched():
    assert to_greys(np.array([[0.25, 0.5]])).tolist() == [[64, 128]]
    assert to_greys(np.array([[3.0, 200.0]])).tolist() == [[3, 200]]
    assert to_greys(np.array([[-500.0, 500.0]])).tolist() == [[0, 255]]


@pytest.mark.parametrize(("bits", "expected"), [(1, [0, 255]), (2, [0, 85, 170, 255]), (12, [0, 0, 127, 255])])
def test_whole_numbers_run_from_black_to_their_largest(bits, expected):
    numbers = np.array({1: [0, 1], 2: [0, 1, 2, 3], 12: [0, 15, 2047, 4095]}[bits], np.uint16)
    assert to_8_bits(numbers, bits).tolist() == expected
