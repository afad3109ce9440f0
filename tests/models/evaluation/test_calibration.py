"""Confidence is compared with accuracy bin by bin, as counted by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.evaluation.calibration import BINS, calibration_of


def logits_for(*probabilities):
    return np.log(np.array(probabilities))


def test_the_error_is_that_of_an_example_by_hand():
    # Two images at 0.90, one of them right: |0.5 - 0.9|; one at 0.62, right: |1 - 0.62|; one at 0.55, wrong: 0.55.
    logits = logits_for((0.9, 0.1), (0.1, 0.9), (0.62, 0.38), (0.45, 0.55))
    found = calibration_of(logits, np.array([0, 0, 0, 0]))
    assert found.expected_error == pytest.approx((2 * 0.4 + 0.38 + 0.55) / 4)
    assert found.negative_log_likelihood == pytest.approx(-sum(map(math.log, (0.9, 0.1, 0.62, 0.45))) / 4)
    assert {i: n for i, n in enumerate(found.counts.tolist()) if n} == {8: 1, 9: 1, 13: 2}
    assert found.confidence[[8, 9, 13]] == pytest.approx([0.55, 0.62, 0.9])
    assert found.accuracy[[8, 9, 13]].tolist() == [0, 1, 0.5]


def test_confidence_on_an_edge_belongs_to_the_bin_below_it():
    found = calibration_of(np.zeros((3, 5)), np.zeros(3, int))  # 1/5, the edge between bins 2 and 3
    assert found.counts.tolist() == [0, 0, 3] + [0] * (BINS - 3)


def test_a_model_that_is_sure_and_right_has_no_error_and_one_that_is_wrong_has_all_of_it():
    sure = 1000 * np.eye(4, dtype=np.float32)
    right, wrong = calibration_of(sure, np.arange(4)), calibration_of(sure, np.arange(4) - 1)
    assert (right.expected_error, right.negative_log_likelihood) == (0, 0)
    assert wrong.expected_error == 1 and wrong.negative_log_likelihood == 1000
    assert right.counts[-1] == 4


def test_probabilities_that_are_true_have_next_to_no_error():
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(4), 100_000)
    labels = (random.random((100_000, 1)) > probabilities.cumsum(1)).sum(1)
    assert calibration_of(np.log(probabilities), labels).expected_error < 0.01
    assert calibration_of(3 * np.log(probabilities), labels).expected_error > 0.1, "the same, overconfident"


@given(st.integers(1, 200), st.integers(2, 12), st.integers(0, 2**32 - 1))
def test_bins_hold_every_image_and_agree_with_counting_one_by_one(images, classes, seed):
    random = np.random.default_rng(seed)
    logits, labels = random.normal(0, 3, (images, classes)), random.integers(0, classes, images)
    found = calibration_of(logits, labels)
    confidence = (np.exp(logits) / np.exp(logits).sum(1, keepdims=True)).max(1)
    correct = logits.argmax(1) == labels
    error = 0.0
    for i in range(BINS):
        inside = (confidence > i / BINS) & (confidence <= (i + 1) / BINS)
        assert found.counts[i] == inside.sum()
        if inside.any():
            assert found.accuracy[i] == pytest.approx(correct[inside].mean())
            assert found.confidence[i] == pytest.approx(confidence[inside].mean())
            error += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
    assert found.expected_error == pytest.approx(error) and 0 <= found.expected_error <= 1
