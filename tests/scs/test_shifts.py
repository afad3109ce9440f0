"""Maps are moved by whole units as they are and by parts of one as the sampling theorem has it; what follows errs 0."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import fourier_shift

from scs.shifts import ShiftError, shifted

RANDOM = np.random.default_rng(0)
MAPS = RANDOM.normal(size=(3, 2, 8, 6))
SHIFTS = st.floats(-10, 10).filter(lambda d: d != int(d))


def waves(rows, columns):
    """Maps without a frequency of a quarter of a cycle or more, at any places: ``(1, 1, H, W)``."""
    turns = [(1, 2, 0.3), (3, 1, 1.1), (0, 3, 2.0)]
    return sum(np.cos(2 * np.pi * (a * rows + b * columns) / 16 + c) for a, b, c in turns)[None, None]


def error_of(before, after, down=0.0, right=0.0):
    error = ShiftError()
    error.add(before, after, down, right)
    return error.error


def test_a_whole_shift_moves_values_round_and_leaves_them_as_they_are():
    moved = shifted(MAPS, 2, -1)
    np.testing.assert_array_equal(moved[..., 2, 0], MAPS[..., 0, 1])
    np.testing.assert_array_equal(moved, np.roll(MAPS, (2, -1), (2, 3)))


@given(SHIFTS, SHIFTS)
def test_a_part_of_a_unit_is_what_scipy_makes_of_it(down, right):
    for maps in (MAPS, MAPS[..., :7, :5]):
        expected = [np.fft.ifft2(fourier_shift(np.fft.fft2(each), (down, right))).real for each in maps[0]]
        np.testing.assert_allclose(shifted(maps, down, right)[0], expected, atol=1e-9)


@given(SHIFTS, SHIFTS)
def test_what_was_sampled_finely_enough_is_known_between_its_samples(down, right):
    rows, columns = np.mgrid[:16:2, :16:2]  # every second pixel
    between = waves(rows - 2 * down, columns - 2 * right)
    np.testing.assert_allclose(shifted(waves(rows, columns), down, right), between, atol=1e-9)


def test_maps_that_follow_err_exactly_nothing():
    assert error_of(MAPS, np.roll(MAPS, (1, 3), (2, 3)), 1, 3) == 0


def test_maps_that_have_nothing_to_do_with_each_other_err_one():
    random = np.random.default_rng(1)
    before, after = random.normal(3, 2, (2, 50, 4, 16, 16))
    assert error_of(before, after, 1, 0) == pytest.approx(1, rel=0.02)


@given(st.floats(0.01, 100), st.floats(-100, 100))
def test_neither_a_factor_nor_a_constant_changes_the_error(factor, constant):
    after = np.roll(MAPS, 1, 2) + 0.1 * RANDOM.normal(size=MAPS.shape)
    found = error_of(factor * MAPS + constant, factor * after + constant, 1, 0.5)
    assert found == pytest.approx(error_of(MAPS, after, 1, 0.5), rel=1e-6)


def test_rounding_is_no_error_and_what_is_larger_is():
    before = MAPS.astype(np.float32)
    assert error_of(before, np.nextafter(before, np.float32(9))) == 0
    assert error_of(before, before * np.float32(1 + 1e-3)) > 1e-4


def test_batches_give_together_what_one_gives():
    after = RANDOM.normal(size=MAPS.shape)
    together = ShiftError()
    for i in range(3):
        together.add(MAPS[i : i + 1], after[i : i + 1], 0, 0.5)
    assert together.error == pytest.approx(error_of(MAPS, after, 0, 0.5))


def test_constant_maps_that_stay_err_nothing():
    assert error_of(np.ones((2, 1, 4, 4)), np.ones((2, 1, 4, 4)), 0, 0.5) == 0
