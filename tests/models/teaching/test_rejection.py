"""The threshold of "none of these" does what it says of the scores that set it."""

import numpy as np
import pytest

from models.teaching.rejection import Counted, choose_threshold

BEST = np.array([0.9, 0.8, 0.7, 0.6, 0.2])
OUTSIDE = np.array([0.5, 0.4, 0.3, 0.1, 0.65])


def test_false_alarms_and_misses_are_least_in_sum():
    found = choose_threshold(BEST, OUTSIDE, None)
    assert 0.5 < found.threshold < 0.6
    assert (found.false_alarms, found.misses) == (Counted(1, 5), Counted(1, 5))


@pytest.mark.parametrize("most, alarms, misses", [(0.0, 0, 2), (0.2, 1, 1), (0.5, 2, 1), (1.0, 5, 0)])
def test_no_more_false_alarms_are_made_than_are_allowed(most, alarms, misses):
    found = choose_threshold(BEST, OUTSIDE, most)
    assert (found.false_alarms.count, found.misses.count) == (alarms, misses)


def test_where_no_other_things_are_known_a_twentieth_is_missed_and_nothing_is_said_of_false_alarms():
    found = choose_threshold(np.linspace(0, 1, 40), np.array([]), None)
    assert found.misses == Counted(2, 40) and found.false_alarms is None


def test_where_no_picture_could_be_left_out_no_other_thing_is_given_a_class():
    found = choose_threshold(np.array([]), OUTSIDE, None)
    assert found.false_alarms == Counted(0, 5) and found.misses is None


def test_where_nothing_is_known_there_is_no_threshold():
    assert choose_threshold(np.array([]), np.array([]), None).threshold is None
