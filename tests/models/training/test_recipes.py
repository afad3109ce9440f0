"""Every recipe has a twin that blurs."""

from dataclasses import replace

import pytest

from models.training.recipes import RECIPES, recipe_for
from scs.errors import UnknownNameError


def test_a_blurred_recipe_is_the_other_with_a_blur():
    plain = [name for name in RECIPES if not name.endswith("-blurred")]
    assert len(RECIPES) == 2 * len(plain)
    for name in plain:
        assert recipe_for(f"{name}-blurred") == replace(recipe_for(name), blur=True)
        assert not recipe_for(name).blur


def test_an_unknown_recipe_is_answered_with_the_known_ones():
    with pytest.raises(UnknownNameError, match="one of mnist-scs, .*; 'mnist-vit' came"):
        recipe_for("mnist-vit")
