"""Two families share one skeleton, are equally large, take any size, and have exact class maps."""

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d
from torch import nn

from models.datasets.published import DATASETS
from models.networks import FAMILIES, Network, blurred
from models.style import PLAIN, Style
from models.training.recipes import recipe_for
from scs.errors import OptionError, UnknownNameError
from scs.nn.layers import MaxAbsPool2d, SharpenedCosineSimilarity2d

MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]


def make(family, widths=(6, 8, 10), mean=MEAN, std=STD, style=PLAIN):
    torch.manual_seed(0)
    return Network(family, 3, 5, widths, (1,) * (len(widths) - 1), 3, mean, std, style).eval()


def draw(*size):
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, *size, 3), np.uint8))


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_families_of_a_data_set_are_equally_large_within_2_percent_and_small(dataset):
    publication = DATASETS[dataset]
    channels = publication.image_shape[-1]
    scs, conv = (
        sum(p.numel() for p in network.parameters())
        for family in FAMILIES
        for recipe in [recipe_for(f"{dataset}-{family}")]
        for network in [
            Network(
                family, channels, 10, recipe.widths, recipe.stages, recipe.stem_size, [0.5] * channels, [1] * channels
            )
        ]
    )
    assert abs(scs - conv) <= 0.02 * conv
    assert scs < {"mnist": 1_398, "fashion-mnist": 2_764, "cifar10": 20_000}[dataset]  # what others needed, or our aim


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


def test_the_families_differ_in_what_compares_and_pools_and_share_the_depthwise_filters():
    scs, conv = make("scs"), make("conv")
    filters = [[block[0] for block in network.blocks] for network in (scs, conv)]
    assert str(filters[0]) == str(filters[1])
    compared = [module for module in scs.modules() if isinstance(module, SharpenedCosineSimilarity2d)]
    assert [layer.kernel_size for layer in compared] == [(3, 3), (1, 1), (1, 1)]
    assert all(layer.gain is None and layer.groups == 1 for layer in compared)
    assert isinstance(scs.pool, MaxAbsPool2d)
    assert isinstance(conv.pool, nn.MaxPool2d)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_stem_sees_the_normalised_image(family):
    network, image = make(family), draw(9, 7)
    seen = []
    network.stem.register_forward_pre_hook(lambda _, arguments: seen.extend(arguments))
    network(image)
    normalised = (image.double() / 255 - torch.tensor(MEAN)) / torch.tensor(STD)
    torch.testing.assert_close(seen[0], normalised.permute(0, 3, 1, 2).float())


def test_a_picture_and_its_negative_do_not_get_opposite_logits():
    network = make("scs", mean=[0.5] * 3)
    network.train()(draw(12, 12))  # normalisation has seen something
    network.eval()
    image = draw(12, 12)
    logits, of_negative = network(image), network(255 - image)
    assert (of_negative + logits).norm() > 0.1 * logits.norm()


def test_maps_are_halved_before_each_stage_and_not_within():
    torch.manual_seed(0)
    network = Network("scs", 3, 5, (6, 8, 10, 12), (2, 1), 5, MEAN, STD).eval()
    sizes = {name: tuple(y.shape[1:]) for name, y in network.layers(draw(20, 12)).items()}
    assert sizes == {
        "stem": (6, 20, 12),
        "block1": (8, 10, 6),
        "block2": (10, 10, 6),
        "block3": (12, 5, 3),
        "class_map": (5, 5, 3),
    }
    assert network.smallest_image == 4


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("height, width", [(4, 4), (4, 17), (33, 47)])
def test_a_blur_adds_no_parameter_and_leaves_the_sizes_as_they_are(family, height, width):
    plain, blur = make(family), make(family, style=Style(blur=True))
    assert plain.state_dict().keys() == blur.state_dict().keys()
    sizes = [{name: y.shape for name, y in each.layers(draw(height, width)).items()} for each in (plain, blur)]
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("size", [(2, 2), (8, 6), (7, 9)])
def test_a_blur_is_binomial_with_the_edge_repeated_and_then_every_second_is_taken(family, size):
    pool = FAMILIES[family].pool
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 3, *size)))
    expected = pool(1)(x).numpy()
    for axis in (2, 3):
        expected = correlate1d(expected, [0.25, 0.5, 0.25], axis, mode="nearest")
    np.testing.assert_allclose(blurred(pool)(x).numpy(), expected[:, :, ::2, ::2], atol=1e-12)


def test_opening_blocks_see_maps_of_the_size_of_the_picture():
    network = Network("scs", 3, 5, (6, 8, 10), (1,), 3, MEAN, STD, opening=1).eval()
    sizes = {name: tuple(y.shape[1:]) for name, y in network.layers(draw(20, 12)).items()}
    assert sizes == {"stem": (6, 20, 12), "block1": (8, 20, 12), "block2": (10, 10, 6), "class_map": (5, 10, 6)}
    assert network.smallest_image == 2


def test_stages_without_their_blocks_are_refused():
    with pytest.raises(OptionError, match="3 widths are a stem's and 2 blocks'; there are 3"):
        Network("scs", 3, 5, (6, 8, 10), (2, 1), 3, MEAN, STD)


def test_an_unknown_family_is_answered_with_the_known_ones():
    with pytest.raises(UnknownNameError, match="a family is one of scs, conv; 'vit' came"):
        make("vit")


@pytest.mark.parametrize("family", FAMILIES)
def test_maps_are_halved_by_their_mean_where_the_style_says_so(family):
    network = make(family, style=Style(pooling="mean"))
    x = torch.arange(16.0).view(1, 1, 4, 4)
    torch.testing.assert_close(network.pool(x), torch.tensor([[[[2.5, 4.5], [10.5, 12.5]]]]))


@pytest.mark.parametrize("family", FAMILIES)
def test_prelu_stands_behind_every_filter_that_relu_stood_behind_and_learns_a_slope_a_layer(family):
    plain, learned = make(family), make(family, style=Style(activation="prelu"))
    relus, prelus = (
        [name for name, module in network.named_modules() if isinstance(module, kind)]
        for network, kind in ((plain, nn.ReLU), (learned, nn.PReLU))
    )
    assert relus == prelus
    assert count(learned) == count(plain) + len(prelus)


def count(network):
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("activation", ["relu", "prelu"])
@pytest.mark.parametrize("family", FAMILIES)
def test_feature_maps_take_both_signs_where_the_network_says_so(family, activation):
    network = make(family, style=Style(activation=activation))
    maps = network.layers(draw(12, 12))
    lowest = min(float(maps[name].detach().min()) for name in network.layer_names[:-1])
    assert (lowest < 0) == network.signed


@pytest.mark.parametrize("family, left_out", [("conv", 6 + 6 + 8 + 8 + 10), ("scs", 10)])
def test_a_lean_network_leaves_out_the_scales_that_change_nothing_it_could_not_learn_otherwise(family, left_out):
    full, lean = make(family), make(family, style=Style(lean=True))
    assert count(full) - count(lean) == left_out
    assert full.state_dict().keys() == lean.state_dict().keys()  # they are still there, and 1


@pytest.mark.parametrize("activation", ["relu", "prelu"])
def test_a_scale_that_a_lean_convolution_leaves_out_is_redundant(activation):
    network, image = make("conv", style=Style(activation=activation)).double(), draw(12, 12)
    network.train()(image)  # running statistics other than those of the start
    network.eval()
    for scaled, follows in zip(
        (network.stem, network.blocks[0][1]), (network.blocks[0][0], network.blocks[1][0]), strict=True
    ):
        before = network(image)
        scales = torch.linspace(0.5, 2, len(scaled[1].weight), dtype=torch.float64)
        with torch.no_grad():
            scaled[1].weight *= scales
            scaled[1].bias *= scales
            follows[0].weight /= scales.view(-1, 1, 1, 1)
        torch.testing.assert_close(network(image), before)


def test_an_unknown_pooling_or_activation_is_refused():
    with pytest.raises(OptionError, match="maps are pooled by one of largest, mean; 'median' came"):
        Style(pooling="median")
    with pytest.raises(OptionError, match="an activation is one of relu, prelu; 'gelu' came"):
        Style(activation="gelu")
