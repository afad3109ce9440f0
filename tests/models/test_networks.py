"""Two families share one skeleton, are equally large, take any size, and have exact class maps."""

import numpy as np
import pytest
import torch
from torch import nn

from models.datasets import DATASETS
from models.networks import FAMILIES, Network
from models.recipes import recipe_for
from scs.errors import UnknownNameError
from scs.layers import MaxAbsPool2d, SharpenedCosineSimilarity2d

MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]


def make(family, widths=(6, 8, 10), mean=MEAN, std=STD):
    torch.manual_seed(0)
    return Network(family, 3, 5, widths, mean, std).eval()


def draw(*size):
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, *size, 3), np.uint8))


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_families_of_a_data_set_are_equally_large_within_2_percent_and_small(dataset):
    publication = DATASETS[dataset]
    channels = publication.image_shape[-1]
    sizes = [
        sum(
            p.numel()
            for p in Network(family, channels, 10, recipe.widths, [0.5] * channels, [1] * channels).parameters()
        )
        for family in FAMILIES
        for recipe in [recipe_for(f"{dataset}-{family}")]
    ]
    assert max(sizes) <= 1.02 * min(sizes)
    assert max(sizes) < 60_000


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("height, width", [(4, 4), (4, 17), (33, 47)])
def test_any_size_from_the_smallest_up_gives_logits(family, height, width):
    network = make(family)
    assert network.smallest_image == 4
    logits = network(draw(height, width))
    assert logits.shape == (2, 5)
    assert logits.isfinite().all()


@pytest.mark.parametrize("family", FAMILIES)
def test_an_image_below_the_smallest_leaves_nothing(family):
    with pytest.raises(RuntimeError, match="Output size is too small"):
        make(family)(draw(3, 4))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_mean_of_a_class_map_plus_its_bias_is_the_logit(family):
    network = make(family)
    nn.init.normal_(network.bias)
    image = draw(21, 18)
    torch.testing.assert_close(network(image), network.layers(image)["class_map"].mean((2, 3)) + network.bias)


def test_swapping_the_family_leaves_the_skeleton_as_it_is():
    maps = {family: make(family).layers(draw(21, 18)) for family in FAMILIES}
    shapes = {family: {name: tuple(y.shape) for name, y in layers.items()} for family, layers in maps.items()}
    assert shapes["scs"] == shapes["conv"]
    assert shapes["scs"] == {
        "stem": (2, 6, 21, 18),
        "block1": (2, 8, 10, 9),
        "block2": (2, 10, 5, 4),
        "class_map": (2, 5, 5, 4),
    }
    assert list(shapes["scs"]) == make("scs").layer_names


def test_an_scs_network_has_neither_activations_nor_normalisation_and_one_linear_layer_its_head():
    network = make("scs")
    assert {type(module) for module in network.modules()} == {
        Network,
        nn.ModuleList,
        nn.Sequential,
        SharpenedCosineSimilarity2d,
        MaxAbsPool2d,
        nn.Conv2d,
    }
    assert [module for module in network.modules() if isinstance(module, nn.Conv2d)] == [network.head]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_stem_sees_the_normalised_image_and_a_channel_that_is_one_everywhere(family):
    network, image = make(family), draw(9, 7)
    seen = []
    network.stem.register_forward_pre_hook(lambda _, arguments: seen.extend(arguments))
    network(image)
    normalised = (image.double() / 255 - torch.tensor(MEAN)) / torch.tensor(STD)
    torch.testing.assert_close(seen[0][:, :3], normalised.permute(0, 3, 1, 2).float())
    assert (seen[0][:, 3] == 1).all()


def test_an_scs_stack_turns_a_negative_into_the_opposite_and_the_network_does_not():
    network = make("scs", mean=[0.5] * 3)
    stack = nn.Sequential(network.stem, network.pool, network.blocks[0], network.pool, network.blocks[1], network.head)
    x = torch.randn(2, 4, 12, 12, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(stack(-x), -stack(x))

    image = draw(12, 12)
    logits, of_negative = network(image), network(255 - image)
    assert (of_negative + logits).norm() > 0.1 * logits.norm()


def test_an_unknown_family_is_answered_with_the_known_ones():
    with pytest.raises(UnknownNameError, match="a family is one of scs, conv; 'vit' came"):
        make("vit")
