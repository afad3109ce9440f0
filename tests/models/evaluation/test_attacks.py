"""Attacks stay within their budget, raise the loss, and a network that only hides its gradients is called out."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from models.evaluation.attacks import BUDGETS, attack, check_gradients, fgsm, pgd
from models.training.runs import load_network

ROUNDING = 1e-4  # of grey levels, in float32


@pytest.fixture(scope="module", params=["scs", "conv"])
def network(request, runs):
    return load_network(runs[request.param][0])[0]


@pytest.fixture(scope="module")
def batch(shapes):
    """Images whose values reach from 0 to 255, and their classes."""
    images = torch.from_numpy(shapes.test_images[:60]).float()
    return (images * 1.5 - 40).clamp(0, 255), torch.from_numpy(shapes.test_labels[:60])


@torch.no_grad()
def loss(model, images, labels):
    return F.cross_entropy(model(images), labels).item()


@pytest.mark.parametrize("budget", BUDGETS)
def test_an_attack_stays_within_its_budget_and_among_pictures(network, batch, budget):
    images, labels = batch
    assert images.min() == 0 and images.max() == 255
    for attacked in (*fgsm(network, images, labels, [budget]), pgd(network, images, labels, budget, steps=5)):
        assert attacked.min() >= 0 and attacked.max() <= 255
        assert (attacked - images).abs().max() <= budget + ROUNDING
        assert (attacked - images).abs().max() > budget / 2, "and makes use of it"


def test_attacks_raise_the_loss_and_pgd_at_least_as_far_as_fgsm(network, batch):
    images, labels = batch
    clean, before = loss(network, *batch), 0.0
    for budget, by_sign in zip(BUDGETS, fgsm(network, images, labels), strict=True):
        by_steps = loss(network, pgd(network, images, labels, budget, until_fooled=False), labels)
        assert by_steps >= loss(network, by_sign, labels) - 1e-6 > clean
        assert by_steps > before
        before = by_steps


def test_on_a_linear_model_both_end_in_the_corner_that_is_worst():
    weights = torch.randn(5 * 5 * 3, 2, generator=torch.Generator().manual_seed(0))
    images, labels = torch.full((4, 5, 5, 3), 100.0), torch.tensor([0, 1, 0, 1])

    def linear(x):
        return x.flatten(1) @ weights / 1000

    away = (weights[:, 1] - weights[:, 0]).sign().view(5, 5, 3)
    worst = images + 4 * torch.stack([away, -away, away, -away])
    torch.testing.assert_close(fgsm(linear, images, labels, [4.0])[0], worst)
    torch.testing.assert_close(pgd(linear, images, labels, 4.0, until_fooled=False), worst)


def test_the_seed_decides_where_pgd_begins(network, batch):
    first, again, other = (pgd(network, *batch, 4.0, steps=2, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_an_image_that_is_fooled_is_left_alone_and_the_others_are_not(network, batch):
    images, labels = batch
    labels = torch.cat([(labels[:10] + 1) % 3, labels[10:]])  # the first ones are wrong from the start
    begun = pgd(network, images, labels, 8.0, steps=0)
    with torch.no_grad():
        fooled = network(begun).argmax(1) != labels
    assert 0 < fooled.sum() < len(labels)
    changed = (pgd(network, images, labels, 8.0, steps=1) != begun).flatten(1).any(1)
    assert torch.equal(changed, ~fooled)


def test_what_withstands_is_counted_image_by_image(network, shapes):
    progress = []
    images, labels = shapes.test_images, shapes.test_labels
    found = attack(network, images, labels, progress.append)
    with torch.no_grad():
        assert np.array_equal(found.clean, network(torch.from_numpy(images)).argmax(1).numpy() == labels)
    assert found.fgsm.shape == found.pgd.shape == (len(BUDGETS), len(images))
    for rows in (found.fgsm, found.pgd):
        assert not (rows & ~found.clean).any(), "what is wrong as it is stays so"
    nested = [found.clean, *found.pgd]
    assert not any((more & ~less).any() for less, more in zip(nested[:-1], nested[1:], strict=True))
    assert found.pgd[-1].sum() < found.clean.sum()
    assert found.pgd.sum() <= found.fgsm.sum()
    assert progress == [100, 150]


def test_a_trained_networks_gradients_are_trusted(network, shapes):
    found = check_gradients(network, shapes.test_images, shapes.test_labels)
    assert found.doubts == [] and found.blank == 0
    assert max(found.clean_loss, found.noise_loss) < found.fgsm_loss <= found.pgd_losses[20]


class Backwards(torch.autograd.Function):
    """Passes values on, and their gradients with the opposite sign."""

    @staticmethod
    def forward(context, x):
        return x.clone()

    @staticmethod
    def backward(context, gradient):
        return -gradient


@pytest.mark.parametrize(
    "hide, said",
    [
        (lambda x: x + (x * 0.5).round() * 2 - x, "the gradient of 100.0% of the images is zero everywhere"),
        (Backwards.apply, "PGD of 20 steps raises the loss to"),
        (lambda x: x, None),
    ],
    ids=["rounded away", "backwards", "not hidden"],
)
def test_hidden_gradients_are_called_out(network, shapes, hide, said):
    found = check_gradients(lambda x: network(hide(x)), shapes.test_images, shapes.test_labels)
    assert said is None or any(said in doubt for doubt in found.doubts)
    assert (said is None) == (found.doubts == [])


def test_a_loss_that_is_no_number_is_called_out(network, shapes):
    found = check_gradients(lambda x: network(x) * torch.nan, shapes.test_images, shapes.test_labels)
    assert found.doubts
