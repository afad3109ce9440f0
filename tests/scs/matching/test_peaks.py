import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from scs.matching.peaks import ScorePeak, find_peaks

maps = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.floats(-1, 1, width=32))


def overlap(a, b, window):
    """Intersection over union of two windows."""
    height, width = window
    shared = max(0, height - abs(a.row - b.row)) * max(0, width - abs(a.column - b.column))
    return shared / (2 * height * width - shared)


def oracle(scores, window, top, most):
    """Every place in turn, best first, kept where it overlaps none that was kept before."""
    places = [ScorePeak(row, column, float(scores[row, column])) for row, column in np.ndindex(*scores.shape)]
    kept = []
    for place in sorted(places, key=lambda place: -place.score):
        if place.score > 0 and len(kept) < top and all(overlap(place, one, window) <= most for one in kept):
            kept.append(place)
    return kept


def scores_with(*peaks, shape=(20, 30)):
    scores = np.full(shape, -0.5, np.float32)
    for row, column, score in peaks:
        scores[row, column] = score
    return scores


def test_peaks_come_best_first():
    scores = scores_with((2, 3, 0.5), (10, 25, 0.9), (17, 8, 0.7))
    found = [(peak.row, peak.column, pytest.approx(peak.score)) for peak in find_peaks(scores, (3, 3), 5)]
    assert found == [(10, 25, 0.9), (17, 8, 0.7), (2, 3, 0.5)]


def test_no_more_peaks_are_named_than_were_asked_for():
    assert len(find_peaks(np.random.default_rng(0).random((40, 40), np.float32), (2, 2), 7)) == 7


def test_windows_beside_a_better_one_are_not_named_again():
    scores = scores_with((10, 10, 0.9), (11, 10, 0.8), (10, 12, 0.7), (10, 18, 0.6))
    assert [(peak.row, peak.column) for peak in find_peaks(scores, (8, 8), 5)] == [(10, 10), (10, 18)]


def test_windows_that_only_touch_are_both_named():
    scores = scores_with((4, 4, 0.9), (4, 12, 0.8), (12, 4, 0.7))
    assert len(find_peaks(scores, (8, 8), 5, overlap=0)) == 3


def test_scores_of_zero_or_less_are_no_peaks():
    assert find_peaks(np.zeros((4, 4), np.float32), (2, 2), 5) == []
    assert find_peaks(np.full((4, 4), -1, np.float32), (2, 2), 5) == []


def test_the_map_is_left_as_it_was():
    scores = scores_with((2, 3, 0.5))
    before = scores.copy()
    find_peaks(scores, (5, 5), 5)
    assert np.array_equal(scores, before)


@given(maps, st.tuples(st.integers(1, 15), st.integers(1, 15)), st.integers(1, 6), st.sampled_from([0, 0.3, 0.9]))
def test_peaks_are_those_of_going_through_every_place(scores, window, top, most):
    assert find_peaks(scores, window, top, most) == oracle(scores, window, top, most)
