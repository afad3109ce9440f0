"""A head compares as the layer does, and its kernels are means of pictures."""

import numpy as np
import pytest
import torch

from models.teaching.head import Sharpness, cluster, make_kernels, similarity
from scs.nn.similarity import sharpened_cosine_similarity


@pytest.mark.parametrize("p, q", [(1.0, 0.0), (2.0, 0.5), (4.0, 3.0)])
def test_it_compares_as_the_layer_of_torch_does(p, q):
    random = np.random.default_rng(0)
    x, w = random.normal(size=(5, 8)), random.normal(size=(3, 8))
    images, kernels = (torch.from_numpy(each)[:, :, None, None] for each in (x, w))
    expected = sharpened_cosine_similarity(images, kernels, p, q)[:, :, 0, 0].numpy()
    assert similarity(x, w, Sharpness(p, q)) == pytest.approx(expected, abs=1e-5)


def test_the_clusters_of_two_heaps_are_their_means():
    random = np.random.default_rng(0)
    heaps = [random.normal(size=(6, 3)) * 0.1 + centre for centre in (-4, 4)]
    found = sorted(cluster(np.concatenate(heaps), 2), key=lambda mean: mean[0])
    assert found[0] == pytest.approx(heaps[0].mean(0)) and found[1] == pytest.approx(heaps[1].mean(0))


def test_a_class_has_no_more_kernels_than_half_of_its_pictures_and_every_class_counts_alike():
    labels = np.array([0] * 7 + [1] * 2 + [2])
    kernels = make_kernels(np.random.default_rng(0).normal(size=(10, 4)), labels, 3)
    assert kernels.owners.tolist() == [0, 0, 0, 1, 2]
    assert kernels.shares(3).sum(1) == pytest.approx([1, 1, 1])
