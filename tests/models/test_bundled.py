"""The models that come with the package are whole, small, and as accurate as their cards say."""

import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from models.cards.catalogue import bundled_repository, find
from models.datasets.dataset import evenly, load_dataset
from models.evaluation.accuracy import evaluate
from models.runtime.load import load_model

FLOORS = {
    "mnist-scs": 0.99,
    "mnist-conv": 0.985,
    "mnist-scs-small": 0.99,
    "mnist-conv-small": 0.989,
    "cifar10-scs": 0.80,
    "cifar10-conv": 0.79,
}
MOST_PARAMETERS = {"mnist": 1_398, "mnist-small": 900, "cifar10": 20_000}
Z_999 = 3.2905


@pytest.fixture(params=FLOORS)
def entry(request):
    return find(bundled_repository(), request.param)


def test_the_file_is_the_one_on_the_card_and_loads(entry):
    load_model(entry.verified_bytes(), entry.card(), "cpu")


def test_at_least_three_seeds_were_tried_and_one_of_them_is_exported(entry):
    training = entry.card().training
    seeds = [tried.seed for tried in training.seeds]
    assert len(set(seeds)) >= 3
    assert training.seed in seeds


def test_the_network_is_small_and_accurate(entry):
    card = entry.card()
    assert card.parameters < MOST_PARAMETERS[entry.name.replace("-scs", "").replace("-conv", "")]
    assert card.accuracy.images == 10_000
    assert card.accuracy.accuracy >= FLOORS[entry.name]


def test_the_confusion_on_the_card_counts_every_test_image_and_its_diagonal_is_the_accuracy(entry):
    card = entry.card()
    confusion = np.array(card.accuracy.confusion)
    assert confusion.shape == (10, 10)
    assert confusion.trace() / confusion.sum() == card.accuracy.accuracy
    of_each = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009] if "mnist" in entry.name else [1000] * 10
    assert confusion.sum(1).tolist() == of_each


@pytest.mark.parametrize("name", ["cifar10-scs", "cifar10-conv"])
def test_the_card_says_that_the_data_was_a_jpeg_copy(name):
    assert "JPEG" in find(bundled_repository(), name).card().accuracy.note


def test_the_op_is_in_the_scs_networks_and_not_in_the_others(entry):
    nodes = onnx.load_from_string(entry.verified_bytes()).graph.node
    calls = [node.op_type for node in nodes].count("SharpenedCosineSimilarity")
    assert calls == (5 if entry.card().family == "scs" else 0)


def test_the_accuracy_on_the_card_is_found_again_on_a_sample(entry):
    card = entry.card()
    folder, name = os.environ.get("SCS_DATA"), card.accuracy.dataset
    if not folder or not Path(folder, f"{name}.npz").is_file():
        pytest.skip(f"needs the real {name}.npz in the folder that SCS_DATA names")
    dataset = load_dataset(name)
    images, labels = (evenly(each, 1000) for each in (dataset.test_images, dataset.test_labels))
    sample = replace(dataset, test_images=images, test_labels=labels)
    found = evaluate(load_model(entry.verified_bytes(), card, "cpu"), sample)
    assert found.images == 1000
    p = card.accuracy.accuracy
    assert abs(found.accuracy - p) <= Z_999 * math.sqrt(p * (1 - p) / 1000)
