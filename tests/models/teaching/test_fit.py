"""What a fit leaves out it has not seen, and what it chooses is what tells classes apart."""

import dataclasses

import numpy as np
import pytest

from models.teaching.fit import MOST_ONE_BY_ONE, PARTS, Choice, fit, make_head
from models.teaching.taught import Taught, read_taught
from scs.errors import ModelError


def heaps(counts, apart=6.0, channels=20, seed=0):
    """Pictures of classes that lie round centres of their own."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    centres = random.normal(size=(len(counts), channels)) * apart / channels**0.5
    features = (centres[labels] + random.normal(size=(len(labels), channels)) + 5).astype(np.float32)
    names = tuple(f"{i}.jpg" for i in range(len(labels)))
    return Taught(features[:, None], labels, tuple(f"class {i}" for i in range(len(counts))), names, names)


def test_the_logits_of_a_picture_are_those_of_a_head_that_never_saw_it():
    taught = heaps([4, 5, 3])
    fitted = fit(taught)
    assert sorted(fitted.asked.tolist()) == list(range(12))
    for place, number in enumerate(fitted.asked):
        others = taught.part(np.arange(12) != number)
        head = make_head(others, fitted.choice, fitted.head.temperature)
        alone = head.logits(taught.views[[number]])[0]
        assert fitted.logits[place, :3] == pytest.approx(alone)


def test_more_pictures_are_left_out_in_parts_of_all_classes():
    taught = heaps([40, 30])
    fitted = fit(taught)
    assert len(taught.names) > MOST_ONE_BY_ONE and len(fitted.asked) == 70
    first = taught.labels[fitted.asked[: 70 // PARTS]]
    assert set(first.tolist()) == {0, 1}


def test_classes_that_lie_apart_are_told_apart_and_others_are_none_of_them():
    taught, more = heaps([6] * 5), heaps([30] * 5, seed=0)
    known = taught.part(taught.labels < 4)
    known = dataclasses.replace(known, classes=known.classes[:4])
    fitted = fit(known)
    own, strange = (more.views[select] for select in (more.labels < 4, more.labels == 4))
    labels = more.labels[more.labels < 4]
    assert (fitted.head.scores(own).argmax(1) == labels).mean() > 0.9
    assert (fitted.head.logits(strange).argmax(1) == 4).mean() > 0.6


def test_a_class_of_one_picture_is_not_asked_and_two_such_classes_have_no_threshold():
    assert sorted(fit(heaps([1, 3, 3])).asked.tolist()) == [1, 2, 3, 4, 5, 6]
    fitted = fit(heaps([1, 1]))
    assert not len(fitted.asked) and fitted.head.threshold is None


def test_pictures_of_other_things_set_the_threshold_of_two_classes():
    taught = heaps([5, 5, 5])
    labels = np.where(taught.labels == 2, -1, taught.labels)
    with_others = dataclasses.replace(taught, labels=labels, classes=taught.classes[:2])
    assert fit(with_others).rejection.false_alarms.of == 5
    assert fit(with_others.of_classes).rejection.false_alarms is None


def test_a_picture_is_known_by_the_best_of_its_places():
    taught, random = heaps([6, 6]), np.random.default_rng(2)
    elsewhere = random.normal(size=(12, 8, taught.views.shape[2])).astype(np.float32) + 5
    hidden = np.concatenate([elsewhere, taught.views], 1)
    head = make_head(taught, Choice(), 1.0)
    best = np.maximum(head.scores(elsewhere), head.scores(taught.views))
    assert head.scores(hidden) == pytest.approx(best)
    assert (head.scores(hidden).argmax(1) == taught.labels).all()


def test_chance_is_not_taken_for_certainty():
    fitted = fit(heaps([4, 4], apart=0.0))
    shares = np.exp(fitted.logits) / np.exp(fitted.logits).sum(1, keepdims=True)
    assert shares[:, :2].max() < 0.9


def test_pictures_that_are_all_alike_are_taught_without_a_warning():
    taught = heaps([3, 3, 3])
    alike = dataclasses.replace(taught, views=np.ones_like(taught.views))
    assert np.isfinite(fit(alike).head.logits(alike.views)).all()


def test_what_was_taught_is_read_as_it_was_written_and_more_is_added_by_name():
    taught, more = heaps([2, 3]), heaps([1, 2], seed=1)
    more = dataclasses.replace(more, classes=("class 1", "new"), labels=np.array([0, 1, -1]))
    both = read_taught(taught.to_bytes()).and_more(more)
    assert both.classes == ("class 0", "class 1", "new")
    assert both.labels.tolist() == [0, 0, 1, 1, 1, 1, 2, -1]
    assert both.counts() == [2, 4, 1] and len(both.others) == 1


def test_a_file_of_something_else_is_refused():
    with pytest.raises(ModelError, match="taught.npz needs the features"):
        read_taught(b"PK\x03\x04 not really")
