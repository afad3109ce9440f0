"""A network beside the dense layers that would make the same maps."""

import numpy as np
import pytest

from models.cards import catalogue
from models.cards.dense_twin import dense_twin
from models.runtime.load import load_model

BUNDLED = list(catalogue.entries(catalogue.bundled_repository()))


@pytest.mark.parametrize("entry", BUNDLED, ids=lambda entry: entry.name)
def test_the_maps_are_those_that_the_network_makes(entry):
    card = entry.card()
    twin = dense_twin(card)
    blank = np.zeros((1, card.input.height, card.input.width, card.input.channels), np.uint8)
    made = load_model(entry.verified_bytes(), card, "cpu").layers(blank, [layer.name for layer in card.layers])
    assert [layer.name for layer in twin] == [layer.name for layer in card.layers]
    for layer in twin:
        height, width, channels = layer.maps
        assert made[layer.name].shape == (1, channels, height, width)


@pytest.mark.parametrize("entry", BUNDLED, ids=lambda entry: entry.name)
def test_a_dense_layer_has_a_weight_for_each_pair_of_numbers_and_a_bias(entry):
    card = entry.card()
    numbers = [card.input.height * card.input.width * card.input.channels]
    numbers += [int(np.prod(layer.maps)) for layer in dense_twin(card)]
    for before, after, layer in zip(numbers, numbers[1:], dense_twin(card), strict=False):
        assert layer.parameters == (before + 1) * after
