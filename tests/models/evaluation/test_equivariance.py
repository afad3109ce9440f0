"""Layers follow as far as their strides and borders let them, and further with a blur."""

import numpy as np
import pytest
import torch

from models.cards.catalogue import find
from models.evaluation.equivariance import Equivariance, equivariance_error
from models.export.receptive_field import receptive_fields
from models.networks import FAMILIES, Network
from models.runtime.load import load_model
from models.style import Style
from scs.errors import ModelError
from scs.shifts import ShiftError

SHIFTS = (1, 2, 4)


def measured(repository, name, images, shifts=SHIFTS) -> list[Equivariance]:
    entry = find(repository, name)
    card = entry.card()
    return equivariance_error(load_model(entry.verified_bytes(), card, "cpu"), card, images, shifts)


@pytest.fixture(scope="module", params=FAMILIES)
def family(request):
    return request.param


@pytest.fixture(scope="module")
def found(family, repository, shapes):
    return measured(repository, f"shapes-{family}", shapes.test_images)


def test_without_borders_a_layer_follows_every_shift_that_its_stride_divides(found):
    strides = {"stem": 1, "block1": 2, "block2": 4, "class_map": 4}
    for each in found:
        assert list(each.without_borders.layers) == list(strides)
        for name, stride in strides.items():
            error = each.without_borders.layers[name]
            assert error == 0 if each.shift % stride == 0 else 0.01 < error < 1.5, (name, each.shift)
    assert found[-1].without_borders.logits == 0
    assert found[-1].without_borders.class_kept == 1


def test_borders_break_what_follows_without_them(found):
    for each in found:
        assert each.as_served.layers["stem"] > 0.01
    assert found[-1].as_served.logits > 0.01


@pytest.mark.parametrize("family", FAMILIES)
def test_a_blur_lowers_the_error_of_trained_networks(family, repository, blurred_repository, shapes):
    images = shapes.test_images
    plain, blurred = (
        measured(folder, f"shapes-{family}", images, [1])[0] for folder in (repository, blurred_repository)
    )
    for name in ("block1", "block2"):
        assert blurred.without_borders.layers[name] < 0.8 * plain.without_borders.layers[name], name
        assert blurred.as_served.layers[name] < plain.as_served.layers[name], name
    assert blurred.without_borders.logits < plain.without_borders.logits


@torch.no_grad()
def test_a_blur_lowers_the_error_of_untrained_networks(family, shapes):
    errors = {}
    for blur in (False, True):
        torch.manual_seed(0)
        network = Network(family, 3, 3, (8, 12, 16), (1, 1), 3, [0.3] * 3, [0.2] * 3, Style(blur=blur)).eval()
        before = network.layers(torch.from_numpy(shapes.test_images))
        after = network.layers(torch.from_numpy(np.roll(shapes.test_images, 1, 1)))
        errors[blur] = {name: ShiftError() for name in before}
        for name, field in receptive_fields(network).items():
            errors[blur][name].add(before[name].numpy(), after[name].numpy(), 1 / field.stride, 0)
    for name in ("block1", "block2"):
        assert errors[True][name].error < 0.8 * errors[False][name].error, name


def test_a_shift_of_nothing_changes_nothing(repository, shapes):
    (found,) = measured(repository, "shapes-conv", shapes.test_images[:20], [0])
    assert found.as_served == found.without_borders
    assert set(found.as_served.layers.values()) == {0}
    assert (found.as_served.logits, found.as_served.class_kept) == (0, 1)


def test_sides_that_the_strides_do_not_divide_have_their_edges_repeated(repository, shapes):
    cut = shapes.test_images[:20, :14, :13]
    padded = np.pad(cut, ((0, 0), (0, 2), (0, 3), (0, 0)), mode="edge")
    assert measured(repository, "shapes-conv", cut) == measured(repository, "shapes-conv", padded)


def test_the_share_that_keeps_its_class_is_counted_on_both_ways(repository, shapes):
    entry = find(repository, "shapes-conv")
    model, images = load_model(entry.verified_bytes(), entry.card(), "cpu"), shapes.test_images
    classes = model.logits(images).argmax(1)
    kept = [model.logits(np.roll(images, 2, axis)).argmax(1) == classes for axis in (1, 2)]
    (found,) = measured(repository, "shapes-conv", images, [2])
    assert found.as_served.class_kept == np.mean(kept)
    assert found.images == len(images)


def test_an_export_puts_one_pixel_into_the_card(repository, shapes):
    (found,) = measured(repository, "shapes-conv", shapes.test_images, [1])
    assert find(repository, "shapes-conv").card().equivariance == found.card("shapes")


def test_progress_counts_the_images(repository, shapes):
    entry = find(repository, "shapes-conv")
    model = load_model(entry.verified_bytes(), entry.card(), "cpu")
    done = []
    equivariance_error(model, entry.card(), shapes.test_images, [1], done.append)
    assert done == [50, 100, 150]


def test_a_model_without_a_class_map_is_refused(repository, shapes):
    entry = find(repository, "shapes-conv")
    card = entry.card().model_copy(update={"class_map": None})
    with pytest.raises(ModelError, match="models with a class map; shapes-conv has none"):
        equivariance_error(load_model(entry.verified_bytes(), card, "cpu"), card, shapes.test_images)
