"""Ascent finds what a channel answers most: of SCS that is known, it is the kernel."""

import numpy as np
import pytest
import torch

from lab.feature_visualization import CHANGES, Changes, visualize
from models.cards.catalogue import bundled_repository, find
from models.onnx.as_torch import TorchGraph
from scs.errors import ModelError, OptionError
from scs.nn.similarity import sharpened_cosine_similarity


@pytest.fixture(scope="module")
def graph(repository):
    return TorchGraph(find(repository, "shapes-scs").verified_bytes())


@pytest.fixture(scope="module")
def bundled():
    return TorchGraph(find(bundled_repository(), "cifar10-conv").verified_bytes())


class Stem:
    """A layer of SCS by itself, in place of the graph of a file."""

    def __init__(self) -> None:
        self.kernels = torch.randn(6, 3, 5, 5, generator=torch.Generator().manual_seed(0))

    def tensor(self, name: str, image: torch.Tensor) -> torch.Tensor:
        return sharpened_cosine_similarity(self.seen(image), self.kernels, 2.0, 1e-3, padding="same")

    @staticmethod
    def seen(image: torch.Tensor) -> torch.Tensor:
        return image.permute(0, 3, 1, 2) / 255 - 0.5


@pytest.mark.parametrize("frequencies", [False, True])
def test_what_a_unit_of_scs_would_like_to_see_is_its_kernel(frequencies):
    stem = Stem()
    wishes = visualize(stem, "stem", range(6), size=5, unit=True, changes=None, frequencies=frequencies)
    pictures = stem.seen(torch.from_numpy(np.stack([wish.picture for wish in wishes])))
    cosines = torch.cosine_similarity(pictures.flatten(1), stem.kernels.flatten(1))
    assert cosines.min() > 0.97


def test_ascent_makes_a_class_the_answer(bundled):
    wishes = visualize(bundled, "class_map", range(10), size=32, steps=40)
    pictures = torch.from_numpy(np.stack([wish.picture for wish in wishes]))
    with torch.no_grad():
        assert bundled(pictures).argmax(1).tolist() == list(range(10))
    assert all(wish.after > wish.before + 5 for wish in wishes)


def test_the_mean_of_a_class_map_is_the_logit_less_its_bias(graph, repository):
    (wish,) = visualize(graph, "class_map", [2], size=16, steps=3)
    bias = find(repository, "shapes-scs").card().class_bias[2]
    assert graph(torch.from_numpy(wish.picture)[None])[0, 2].item() == pytest.approx(wish.after + bias, abs=1e-4)


def test_a_picture_depends_on_the_seed_and_not_on_which_others_are_wanted(graph):
    (alone,) = visualize(graph, "block1", [1], size=16, steps=5)
    _, beside = visualize(graph, "block1", [0, 1], size=16, steps=5)
    (other,) = visualize(graph, "block1", [1], size=16, steps=5, seed=1)
    assert np.abs(alone.picture.astype(int) - beside.picture).max() <= 1
    assert (alone.picture != other.picture).any()


def test_frequencies_give_broader_shapes_than_pixels(bundled):
    fine = np.hypot(np.fft.fftfreq(32)[:, None], np.fft.fftfreq(32)) > 0.25  # cycles a pixel

    def fineness(frequencies: bool) -> float:
        (wish,) = visualize(bundled, "class_map", [4], size=32, steps=40, frequencies=frequencies)
        energy = np.square(np.abs(np.fft.fft2(wish.picture.mean(2) - wish.picture.mean())))
        return energy[fine].sum() / energy.sum()

    assert fineness(frequencies=True) < 0.5 * fineness(frequencies=False)


def test_changes_of_nothing_change_nothing_and_a_shift_moves():
    chance = torch.Generator().manual_seed(0)
    pictures = torch.rand(2, 3, 16, 16, generator=chance)
    torch.testing.assert_close(Changes(0, 0, 0).apply(pictures, chance), pictures)
    moved = Changes(1 / 16, 0, 0).apply(pictures, chance)
    assert not torch.allclose(moved, pictures) and moved.min() >= 0 and moved.max() <= 1
    torch.testing.assert_close(CHANGES.apply(pictures.mean() * torch.ones(1, 1, 9, 9), chance).std().item(), 0.0)


def test_grey_networks_have_grey_pictures():
    graph = TorchGraph(find(bundled_repository(), "mnist-conv").verified_bytes())
    (wish,) = visualize(graph, "class_map", [3], size=28, channels=1, steps=4)
    assert wish.picture.shape == (28, 28, 1) and wish.picture.dtype == np.uint8


def test_what_is_not_there_is_said(graph):
    with pytest.raises(ModelError, match="a tensor 'head' was asked for that the graph does not have"):
        visualize(graph, "head", [0], size=16)
    with pytest.raises(OptionError, match=r"'class_map' needs a channel 3; its maps are \(1, 3, 4, 4\)"):
        visualize(graph, "class_map", [3], size=16)
    with pytest.raises(OptionError, match=r"'logits' needs a channel 0; its maps are \(1, 3\)"):
        visualize(graph, "logits", [0], size=16)
