"""A map made in tiles is the map of the whole."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from models.cards.catalogue import bundled_repository, find
from models.runtime.load import load_model
from scs.errors import OptionError
from scs.matching.scores import score_map
from scs.nn.layers import MaxAbsPool2d, SharpenedCosineSimilarity2d
from scs.tiles import spans, tiled

SIZES = st.integers(1, 9)


def noise(height, width, channels=3):
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)


@given(st.integers(9, 60), st.integers(9, 60), SIZES, st.integers(1, 4), st.integers(4, 30))
def test_sums_of_windows_are_exactly_those_of_the_whole(height, width, size, stride, tile):
    def sums(part):
        windows = np.lib.stride_tricks.sliding_window_view(part, (size, size))
        return windows.sum((2, 3), dtype=np.int64)[::stride, ::stride]

    picture = noise(height, width, 1)[..., 0]
    assert (tiled(sums, picture, size=size, stride=stride, tile=tile) == sums(picture)).all()


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 4), st.integers(1, 30))
def test_with_borders_too(height, width, reach, tile):
    def highest(part):
        return ndimage.maximum_filter(part, 2 * reach + 1, mode="constant")

    picture = noise(height, width, 1)[..., 0]
    assert (tiled(highest, picture, size=2 * reach + 1, offset=-reach, tile=tile) == highest(picture)).all()


@given(st.integers(1, 300), SIZES, st.integers(1, 4), st.integers(4, 40))
def test_a_tile_is_given_little_more_than_it_answers_for(length, size, stride, tile):
    for padding in range(size):
        cut = list(spans(length, size=size, stride=stride, offset=-padding, tile=tile))
        assert cut[0].pixels.start == 0 and cut[-1].pixels.stop == length
        assert all(span.pixels.stop - span.pixels.start < tile + size + 2 * stride + padding for span in cut)


def test_a_stack_of_similarities_and_pooling_in_tiles_is_the_whole():
    torch.manual_seed(0)
    layers = SharpenedCosineSimilarity2d(3, 6, 5), MaxAbsPool2d(2), SharpenedCosineSimilarity2d(6, 4, 3)
    stack = torch.nn.Sequential(*layers)

    @torch.no_grad()
    def maps(part):
        return stack(torch.from_numpy(part / 255).float().permute(2, 0, 1)[None])[0].numpy()

    picture = noise(101, 90)
    whole = maps(picture)
    for tile in (7, 32, 64):
        assert np.abs(tiled(maps, picture, size=10, stride=2, tile=tile) - whole).max() <= 1e-6


@pytest.mark.parametrize("method", ["scs", "ccoeff_normed"])
def test_scores_of_a_template_in_tiles_are_those_of_the_whole(method):
    picture = noise(150, 170)
    template = picture[30:50, 60:80]

    def scores(part):
        return score_map(part, template, method).scores

    assert np.abs(tiled(scores, picture, size=20, tile=64) - scores(picture)).max() <= 1e-5  # what score_map promises


@pytest.mark.parametrize("name", ["cifar10-scs", "cifar10-conv"])
def test_every_layer_of_a_bundled_network_in_tiles_is_the_whole(name):
    """With the receptive fields that its card states, padding at the picture's borders included."""
    entry = find(bundled_repository(), name)
    model, card = load_model(entry.verified_bytes(), entry.card(), "cpu"), entry.card()
    picture = noise(75, 118)
    whole = model.layers(picture[None], [layer.name for layer in card.layers])
    for layer in card.layers:
        field = layer.receptive_field
        found = tiled(
            lambda part, name=layer.name: model.layers(np.ascontiguousarray(part)[None], [name])[name][0],
            picture,
            size=field.size,
            stride=field.stride,
            offset=field.offset,
            tile=40,
        )
        assert np.abs(found - whole[layer.name][0]).max() <= 1e-5 * np.abs(found).max()


@pytest.mark.parametrize("options", [{"size": 0}, {"size": 3, "stride": 0}, {"size": 3, "stride": 4, "tile": 3}])
def test_a_tile_that_cannot_be_is_refused(options):
    with pytest.raises(OptionError, match="a tile needs a size and a stride of 1 or more"):
        list(spans(20, **options))
