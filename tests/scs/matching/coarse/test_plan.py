import numpy as np
import pytest
from skimage import data

from scs.matching.coarse.plan import plan_for, shrunk

LARGE = 3000, 4000


@pytest.mark.parametrize("side, factor", [(24, 2), (64, 5), (200, 16)])
def test_a_template_keeps_twelve_pixels(side, factor):
    template = data.astronaut()[100 : 100 + side, 150 : 150 + side]
    plan = plan_for(LARGE, template)
    assert plan.factor == factor
    assert 0.6 <= plan.likeness <= 1


def test_a_small_template_has_no_plan():
    assert plan_for(LARGE, data.astronaut()[100:120, 150:250]) is None


def test_hardly_any_contrast_is_not_rounded_away_when_it_is_shrunk():
    template = (100 + data.camera()[100:200, 150:250, None] / 128).astype(np.uint8)
    plan = plan_for(LARGE, template)
    assert plan is not None and plan.likeness > 0.7
    assert np.unique(shrunk(template, plan.factor)[0]).size > 9
    assert plan_for(LARGE, np.full_like(template, 100)) is None


def test_blocks_are_averaged_in_the_middle():
    small, corner = shrunk(np.arange(11 * 8, dtype=np.float32).reshape(11, 8, 1), 3)
    assert small.shape == (3, 2, 1)
    assert corner == (1, 1)
    assert small[0, 0, 0] == pytest.approx(np.arange(88).reshape(11, 8)[1:4, 1:4].mean())
