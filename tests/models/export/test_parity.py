"""The check against the network fails for any other network, and only there."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from models.cards.catalogue import find
from models.export import parity
from models.export.parity import check_parity, decided
from models.networks import Network
from models.runtime.load import load_model
from models.training.runs import load_network
from scs.errors import ExportError
from scs.nn.layers import MaxAbsPool2d

NAMES = {"shapes-scs": "scs", "shapes-conv": "conv", "shapes-script": "scs"}


@pytest.fixture(params=NAMES)
def entry(request, repository):
    return find(repository, request.param)


def exported(entry, runs):
    """The network that a file was made from, its card and the loaded file."""
    card = entry.card()
    folder = runs[NAMES[entry.name]][card.training.seed]
    return load_network(folder)[0], card, load_model(entry.verified_bytes(), card, "cpu")


def untrained(stem=None):
    torch.manual_seed(0)
    network = Network("scs", 3, 3, (8, 8), (1,), 3, [0.5] * 3, [0.25] * 3).eval()
    network.stem = stem or network.stem
    return network


def perturbed(network):
    """The same network but for one weight."""
    other = copy.deepcopy(network)
    with torch.no_grad():
        other.bias[0] += 0.001
    return other


class Changed:
    """A file whose logits are those of a network, changed."""

    def __init__(self, network, change):
        self.device, self.network, self.change = "cpu", network, change

    @torch.no_grad()
    def logits(self, images):
        return self.change(self.network(torch.from_numpy(images)).numpy())


def test_the_check_against_the_network_passes_for_its_own_file_and_fails_for_anothers(entry, runs, shapes):
    network, _, model = exported(entry, runs)
    assert 0 <= check_parity(network, model, shapes.test_images) <= 1e-4
    with pytest.raises(
        ExportError, match=r"logits may differ by 0\.0001 .*at \(150, 16, 16, 3\) they differ by 0\.001"
    ):
        check_parity(perturbed(network), model, shapes.test_images)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda logits: logits * np.nan, "they differ by nan"),
        (lambda logits: logits + [0, 0, 1e-6], "or name another"),
    ],
    ids=["NaN", "a tie tipped over"],
)
def test_nan_and_a_changed_class_fail_the_check_however_small_the_difference(change, message, shapes):
    network = untrained()
    nn.init.zeros_(network.head[-1].weight)  # every class is equally likely
    with pytest.raises(ExportError, match=message):
        check_parity(network, Changed(network, change), shapes.test_images)


class Pooled(nn.Module):
    """A network of pooling alone, over bytes less 100."""

    def __init__(self, pool):
        super().__init__()
        self.pool = pool

    def forward(self, images):
        return self.pool(images.permute(0, 3, 1, 2).float() - 100)


WINDOWS = np.array(
    [[130, 70, 100, 100], [130, 71, 100, 100], [70, 130, 110, 80], [70, 70, 70, 70], [100] * 4], np.uint8
)


@pytest.mark.parametrize(
    "pool, expected", [(MaxAbsPool2d(2), [False, True, False, True, True]), (nn.MaxPool2d(2), [True] * 5)]
)
def test_rounding_decides_only_where_the_largest_values_of_a_window_are_opposite(pool, expected):
    assert decided(Pooled(pool), WINDOWS.reshape(5, 2, 2, 1)).tolist() == expected


def test_one_window_that_rounding_decides_makes_its_image_undecided_and_no_other():
    images = np.full((3, 8, 8, 2), 100, np.uint8)
    images[1, 4:6, 2:4, 1] = WINDOWS[0].reshape(2, 2)
    assert decided(Pooled(MaxAbsPool2d(2)), images).tolist() == [True, False, True]


@pytest.mark.parametrize("stride, expected", [(1, [True, False, True]), (2, [True, True, True])])
def test_pooling_at_every_place_is_looked_at_where_it_looks(stride, expected):
    images = np.full((3, 8, 8, 2), 100, np.uint8)
    images[1, 3:5, 1:3, 1] = WINDOWS[0].reshape(2, 2)
    assert decided(Pooled(MaxAbsPool2d(2, stride)), images).tolist() == expected


@pytest.mark.parametrize("undecided, fails", [(10, False), (40, True)])
def test_images_that_rounding_decides_are_excused_but_not_many(undecided, fails, shapes, monkeypatch):
    network = untrained()
    real = shapes.test_images
    monkeypatch.setattr(parity, "decided", lambda network, images: np.arange(len(images)) >= undecided)

    def change(logits):
        return logits + np.where(np.arange(len(logits)) < undecided, 1e-2, 0)[:, None] * (len(logits) == len(real))

    if fails:
        with pytest.raises(ExportError, match="rounding decides the logits of 40 of 150 images"):
            check_parity(network, Changed(network, change), real)
    else:
        assert check_parity(network, Changed(network, change), real) <= 1e-4
