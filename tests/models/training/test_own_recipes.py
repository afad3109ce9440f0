"""A recipe fits the pictures: as large as they are many, as deep as they are large."""

import pytest

from models.networks import Network
from models.training.own_recipes import NAMES, own_recipe, tuning_recipe
from scs.errors import OptionError, UnknownNameError


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("side, places", [(8, 4), (28, 7), (32, 8), (96, 6), (128, 8), (224, 7), (512, 8)])
def test_a_network_of_any_recipe_sees_pictures_of_any_size(name, side, places):
    recipe = own_recipe(name, "mine", 100, (side, side))
    assert side // 2 ** len(recipe.stages) == places
    assert len(recipe.widths) == 1 + sum(recipe.stages)
    if side <= 32:
        network = Network(recipe.family, 3, 2, recipe.widths, recipe.stages, recipe.stem_size, [0.5] * 3, [0.2] * 3)
        assert network.smallest_image <= side


def test_more_pictures_make_a_larger_network_unless_it_is_named():
    sizes = [sum(own_recipe("scs", "mine", count, (64, 64)).widths) for count in (100, 5_000, 50_000)]
    assert sizes == sorted({*sizes})
    assert own_recipe("scs-small", "mine", 50_000, (64, 64)).widths == own_recipe("scs", "mine", 100, (64, 64)).widths
    asked = own_recipe("scs-large", "mine", 100, (64, 64), width=12, depth=2)
    assert asked.widths[0] == 12 and asked.stages == (2, 2, 2)


@pytest.mark.parametrize("count", [2, 3, 7, 40, 1_000, 100_000])
def test_batches_fit_the_pictures_and_a_schedule_has_room(count):
    tuned = tuning_recipe("net 1", "0" * 64, "imported", "mine", count, (32, 32), "")
    for recipe in (own_recipe("conv", "mine", count, (32, 32)), tuned):
        assert 1 <= recipe.batch_size <= min(count, 64)
        assert recipe.epochs * (count // recipe.batch_size) >= 5


def test_what_cannot_be_is_told():
    with pytest.raises(UnknownNameError, match="a recipe is one of scs, conv, .*; 'scs-huge' came"):
        own_recipe("scs-huge", "mine", 10, (8, 8))
    with pytest.raises(OptionError, match="--depth is 1 to 16; 17 came"):
        own_recipe("scs", "mine", 10, (8, 8), depth=17)
