"""Accuracy comes with Wilson's interval, and the errors are counted by class."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.datasets.dataset import Dataset
from models.evaluation.accuracy import evaluate, judge, logits_of, wilson_interval


@pytest.mark.parametrize(
    "correct, images, low, high",
    [
        (8, 10, 0.4902, 0.9433),
        # R. G. Newcombe, "Two-sided confidence intervals for the single proportion" (1998), table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_is_as_published(correct, images, low, high):
    assert wilson_interval(correct, images) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("images", [1, 10, 10_000])
def test_none_and_all_keep_their_bounds_between_0_and_1(images):
    low, high = wilson_interval(0, images)
    assert low == pytest.approx(0, abs=1e-15) and 0 < high < 1
    low, high = wilson_interval(images, images)
    assert 0 < low < 1 and high == pytest.approx(1, abs=1e-15)


@given(st.integers(1, 100_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_each_bound_is_a_share_from_which_the_count_is_1_96_standard_deviations_away(counted):
    correct, images = counted
    low, high = wilson_interval(correct, images)
    assert 0 <= low <= high <= 1
    for bound, direction in ((low, 1), (high, -1)):
        away = 1.959964 * math.sqrt(bound * (1 - bound) / images)
        assert correct / images == pytest.approx(bound + direction * away, abs=1e-6)
    mirrored = [1 - bound for bound in wilson_interval(images - correct, images)]
    assert [high, low] == pytest.approx(mirrored, abs=1e-12)


class Parrot:
    """Puts an image into the class that its first pixel names."""

    device = "cpu"
    concurrent_runs = 2

    def logits(self, images):
        return np.eye(4, dtype=np.float32)[images[:, 0, 0, 0]]

    def layers(self, images, names):
        raise AssertionError("an evaluation needs no layers")


@pytest.fixture
def counted():
    """450 images of classes a to d, of which none is of class c, and none is put in class d."""
    random = np.random.default_rng(0)
    truth, said = random.choice([0, 1, 3], 450), random.integers(0, 3, 450)
    images = np.broadcast_to(said[:, None, None, None], (450, 2, 2, 1)).astype(np.uint8)
    return Dataset("letters", images[:0], truth[:0], images, truth, classes=tuple("abcd")), said


def test_counts_and_shares_agree_with_counting_one_by_one(counted):
    dataset, said = counted
    evaluation = evaluate(Parrot(), dataset)
    pairs = list(zip(dataset.test_labels.tolist(), said.tolist(), strict=True))
    assert evaluation.confusion.tolist() == [[pairs.count((t, s)) for s in range(4)] for t in range(4)]
    for label in range(4):
        hits = pairs.count((label, label))
        of_class, put_there = sum(t == label for t, _ in pairs), sum(s == label for _, s in pairs)
        assert evaluation.recall[label] == (hits / of_class if of_class else 0)
        assert evaluation.precision[label] == (hits / put_there if put_there else 0)
    assert (evaluation.images, evaluation.correct) == (450, sum(t == s for t, s in pairs))
    assert evaluation.accuracy == evaluation.correct / 450
    assert evaluation.calibration.counts.sum() == 450


def test_progress_counts_the_images_done(counted):
    progress = []
    evaluate(Parrot(), counted[0], progress.append)
    assert progress == [200, 400, 450]


def test_logits_come_in_the_order_of_the_images_however_many_run_at_once(counted):
    dataset, said = counted
    assert np.array_equal(logits_of(Parrot(), dataset.test_images).argmax(1), said)


def test_the_cards_figures_are_those_of_the_evaluation(counted):
    evaluation = evaluate(Parrot(), counted[0])
    low, high = wilson_interval(evaluation.correct, 450)
    assert evaluation.card("letters", "made up").model_dump() == {
        "dataset": "letters",
        "note": "made up",
        "images": 450,
        "correct": evaluation.correct,
        "accuracy": evaluation.accuracy,
        "low": pytest.approx(low, abs=5e-5),
        "high": pytest.approx(high, abs=5e-5),
        "confusion": evaluation.confusion.tolist(),
    }


@pytest.mark.parametrize("classes, told", [(100, True), (101, False)])
def test_a_card_has_the_confusion_of_at_most_100_classes(classes, told):
    labels = np.arange(classes)
    evaluation = judge(np.eye(classes, dtype=np.float32), labels, tuple(map(str, labels)))
    assert evaluation.card("numbers", "").confusion == (np.eye(classes, dtype=int).tolist() if told else None)
