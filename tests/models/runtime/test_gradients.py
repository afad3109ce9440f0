"""Gradients by a layer's maps are the same of an ONNX file and a TorchScript file, and sessions for them are few."""

import numpy as np
import pytest

from models.cards.catalogue import find
from models.runtime import gradients
from models.runtime.load import load_model
from scs.errors import GradientError


def load(repository, name):
    entry = find(repository, name)
    card = entry.card()
    return load_model(entry.verified_bytes(), card, "cpu"), card


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (2, 16, 20, 3), np.uint8)


DIRECTION = np.array([[0, 1, 0], [1, -2, 0]], np.float32)


def test_onnx_and_torchscript_agree(repository, images):
    (onnx_model, card), (script, _) = load(repository, "shapes-scs"), load(repository, "shapes-script")
    for layer in card.layers:
        ours, theirs = (model.gradients(images, layer.name, DIRECTION) for model in (onnx_model, script))
        assert ours.gradients.shape == ours.maps.shape
        largest = float(np.abs(theirs.gradients).max())
        assert ours.gradients == pytest.approx(theirs.gradients, abs=1e-3 * largest)
        assert ours.maps == pytest.approx(theirs.maps, abs=1e-3)
        assert ours.logits == pytest.approx(theirs.logits, abs=1e-3)


def test_a_model_answers_as_before_once_it_gave_gradients(repository, images):
    for name in ("shapes-scs", "shapes-script"):
        model, card = load(repository, name)
        before = model.logits(images)
        model.gradients(images, card.layers[0].name, DIRECTION)
        assert np.array_equal(model.logits(images), before)


def test_no_more_sessions_are_kept_than_two(repository, images):
    model, card = load(repository, "shapes-scs")
    for layer in card.layers:
        model.gradients(images, layer.name, DIRECTION)
    assert [tensor for _, tensor in gradients._kept] == [layer.tensor for layer in card.layers[-2:]]


def test_what_the_runtime_refuses_is_no_gradient(repository):
    model, card = load(repository, "shapes-scs")
    with pytest.raises(GradientError, match=f"by {card.layers[0].name} of shapes-scs was not computed"):
        model.gradients(np.zeros((1, 16, 16, 7), np.uint8), card.layers[0].name, DIRECTION[:1])
