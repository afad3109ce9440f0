import math

import numpy as np
import pytest

from scs.errors import OptionError, ShapeError
from scs.matching.boxes import overlap
from scs.matching.nms import suppress_boxes, suppress_centres, suppress_windows


def test_of_windows_that_overlap_the_best_is_kept():
    scores = np.zeros((20, 30), np.float32)
    scores[4, 5], scores[6, 8], scores[4, 20] = 0.7, 0.9, 0.8
    candidates = np.flatnonzero(scores)
    assert suppress_windows(scores, candidates, (8, 8), 5, 0.1) == [6 * 30 + 8, 4 * 30 + 20]
    assert suppress_windows(scores, candidates, (8, 8), 1, 0.1) == [6 * 30 + 8]
    assert suppress_windows(scores, candidates, (8, 8), 5, 1) == [6 * 30 + 8, 4 * 30 + 20, 4 * 30 + 5]


@pytest.mark.parametrize("seed", range(20))
def test_windows_of_a_map_are_suppressed_as_one_by_one(seed):
    rng = np.random.default_rng(seed)
    scores = rng.random((rng.integers(1, 60), rng.integers(1, 60))).astype(np.float32)
    (height, width), most, top = (
        rng.integers(1, 20, 2).tolist(),
        float(rng.choice([0, 0.3, 1])),
        int(rng.integers(0, 99)),
    )
    candidates = np.flatnonzero(scores > 0.7)
    kept = []
    for place in sorted(candidates.tolist(), key=lambda place: -scores.flat[place]):
        steps = [np.abs(np.subtract(divmod(place, scores.shape[1]), divmod(other, scores.shape[1]))) for other in kept]
        shared = [max(height - down, 0) * max(width - right, 0) for down, right in steps]
        if all(both <= most * (2 * height * width - both) for both in shared):
            kept.append(place)
    assert suppress_windows(scores, candidates, (height, width), top, most) == kept[:top]


def suppressed_one_by_one(placed, scores, most, groups):
    kept = []
    for index in sorted(range(len(scores)), key=lambda index: -scores[index]):
        rivals = (other for other in kept if groups[other] == groups[index])
        if all(overlap(placed[index], placed[other]) <= most for other in rivals):
            kept.append(index)
    return kept


@pytest.mark.parametrize("seed", range(5))
def test_the_best_of_boxes_that_overlap_are_kept(seed):
    rng = np.random.default_rng(seed)
    placed = rng.uniform([0, 0, 5, 5, -180], [60, 60, 20, 20, 180], (80, 5))
    scores, groups = rng.random(80), rng.integers(0, 3, 80)
    one_group = suppressed_one_by_one(placed, scores, 0.2, np.zeros(80))
    assert suppress_boxes(placed, scores, 0.2).tolist() == one_group
    by_group = suppressed_one_by_one(placed, scores, 0.2, groups)
    assert suppress_boxes(placed, scores, 0.2, groups=groups).tolist() == by_group
    assert suppress_boxes(placed, scores, 0.2, top=4).tolist() == one_group[:4]


def test_templates_compete_unless_they_are_groups():
    same = [[5, 5, 4, 4, 0]] * 2
    assert suppress_boxes(same, [0.7, 0.8]).tolist() == [1]
    assert suppress_boxes(same, [0.7, 0.8], groups=["cup", "spoon"]).tolist() == [1, 0]


def test_of_equal_boxes_the_first_is_kept():
    assert suppress_boxes([[5, 5, 4, 4, 30]] * 3, [0.5] * 3).tolist() == [0]


def test_of_no_boxes_none_is_kept():
    assert suppress_boxes([], []).tolist() == []


def test_boxes_that_do_not_fit_their_scores_are_refused():
    with pytest.raises(ShapeError, match=r"\(2, 5\), \(3,\) and \(2,\) came"):
        suppress_boxes(np.ones((2, 5)), [1, 2, 3])
    with pytest.raises(OptionError, match=r"a share, 0 to 1; -1 came"):
        suppress_boxes(np.ones((2, 5)), [1, 2], -1)


@pytest.mark.parametrize("seed", range(5))
def test_centres_are_kept_that_lie_no_nearer_than_the_larger_distance_to_a_better_one(seed):
    rng = np.random.default_rng(seed)
    centres, distances = rng.uniform(0, 60, (80, 2)), rng.uniform(5, 15, 80)
    kept = []
    for index in range(80):
        if all(math.dist(centres[index], centres[k]) >= max(distances[index], distances[k]) for k in kept):
            kept.append(index)
    assert suppress_centres(centres, distances).tolist() == kept
    assert 1 < len(kept) < 80


def test_centres_exactly_that_far_apart_are_both_kept():
    assert suppress_centres([[0, 0], [3, 4]], [5, 1]).tolist() == [0, 1]
    assert suppress_centres([[0, 0], [3, 3.9]], [5, 1]).tolist() == [0]


def test_of_no_centres_none_is_kept():
    assert suppress_centres([], []).tolist() == []
