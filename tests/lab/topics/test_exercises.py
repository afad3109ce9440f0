"""The exercises come out as their page says."""

from pathlib import Path

import numpy as np
import pytest

from lab.exercises import audio, pointwise, position
from lab.exercises.text import DATA, NETWORKS

PAGE = " ".join((Path(__file__).parents[3] / "docs" / "lab" / "exercises.md").read_text().split())


@pytest.fixture(scope="module")
def figures(quick):
    return quick("exercises")[0]


def test_convolution_commutes_and_correlation_does_not(figures):
    assert figures["commuting"]["convolution"] < 1e-12 and figures["commuting"]["correlation"] > 1


def test_a_1x1_convolution_is_a_dense_layer_for_each_pixel(figures):
    assert all(each["difference"] < 1e-12 for each in figures["pointwise"].values())
    x = np.zeros((2, 3, 3))
    x[0, 1, 1] = 1
    assert np.count_nonzero(pointwise.by_convolution(x, np.ones((1, 2)))) == 1, "and sees one pixel"


def test_convolution_cannot_know_where_a_thing_is_and_finds_it_where_it_never_was(figures):
    found = figures["position"]["found"]
    plain, positioned, dense = (found[kind] for kind in position.NETWORKS)
    fly, which = position.TASKS
    assert max(plain[fly]) < 0.6 < 0.9 < min(positioned[fly])
    assert max(dense[which]) < 0.65 < 0.9 < min(plain[which])


def test_a_word_in_another_voice_is_found_in_the_spectrogram_and_not_in_the_wave(figures):
    found = figures["audio"]["found"]
    assert found["at a fifth of the level"] == {"wave": 1, "spectrogram": 1}
    assert found["spoken 15 % higher"]["wave"] < 0.5 < found["spoken 15 % higher"]["spectrogram"]
    assert f"within {audio.NEAR} seconds" in PAGE and f"{len(audio.WORDS) + 1} words a recording" in PAGE


def test_neighbours_in_the_alphabet_are_alike_as_numbers_and_not_one_hot(figures):
    near = figures["text"]["likeness"]["a neighbour in the alphabet"]
    assert near["numbers"] > 0.99 and near["one-hot"] == 0


def test_a_bag_does_not_know_the_order_and_windows_do(figures):
    bag, windows = (figures["text"]["found"][DATA[1]][kind][0] for kind in NETWORKS)
    assert bag < 0.65 and windows > 0.95
    assert figures["text"]["found"][DATA[0]][NETWORKS[0]][0] > figures["text"]["largest_class"][DATA[0]]
