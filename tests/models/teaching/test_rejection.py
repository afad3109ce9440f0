"""The threshold of "none of these" does what it says of the scores that set it, and is judged by others."""

import numpy as np
import pytest

from models.teaching.rejection import Counted, Scored, choose_threshold, set_threshold

INSIDE = np.array([0.9, 0.8, 0.7, 0.6, 0.2])
OUTSIDE = np.array([0.5, 0.4, 0.3, 0.1, 0.65])
NOTHING = np.array([])


def scored(scores, classes=None):
    return Scored(np.array(scores), np.zeros(len(scores), np.int64) if classes is None else np.array(classes))


def test_false_alarms_and_misses_are_least_in_sum():
    assert 0.5 < choose_threshold(INSIDE, OUTSIDE, None) < 0.6


@pytest.mark.parametrize("most, alarms", [(0.0, 0), (0.2, 1), (0.5, 2), (1.0, 5)])
def test_no_more_false_alarms_are_made_than_are_allowed(most, alarms):
    assert (choose_threshold(INSIDE, OUTSIDE, most) <= OUTSIDE).sum() == alarms


def test_where_no_other_things_are_known_a_twentieth_is_missed_and_nothing_is_said_of_false_alarms():
    found = set_threshold(scored(np.linspace(0, 1, 40), np.arange(40) % 2), scored([]), None)
    assert (np.linspace(0, 1, 40) < found.threshold).sum() == 2 and found.false_alarms is None


def test_where_no_picture_could_be_left_out_no_other_thing_is_given_a_class():
    assert choose_threshold(NOTHING, OUTSIDE, None) > OUTSIDE.max()


def test_where_nothing_is_known_there_is_no_threshold():
    assert choose_threshold(NOTHING, NOTHING, None) is None
    assert set_threshold(scored([]), scored([]), None).threshold is None


def test_a_class_is_counted_by_a_threshold_that_the_others_set():
    inside = scored([0.9, 0.8, 0.85, 0.9], [0, 0, 1, 1])
    outside = scored([0.1, 0.2, 0.7, 0.75], [0, 0, 1, 1])
    found = set_threshold(inside, outside, None)
    assert 0.75 < found.threshold < 0.8
    assert found.false_alarms == Counted(2, 4), "with class 1 unknown, the threshold lies below its scores"
    assert found.misses == Counted(0, 4)


def test_each_other_thing_is_counted_by_a_threshold_that_the_others_set():
    found = set_threshold(scored([0.9, 0.8], [0, 1]), scored([0.1, 0.2, 0.7], [-1, -2, -3]), None)
    assert found.false_alarms == Counted(1, 3) and found.threshold > 0.7
