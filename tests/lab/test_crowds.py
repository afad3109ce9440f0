"""A crowd holds as many Waldos as were asked for, where it says, and nobody else who is dressed as he is."""

import numpy as np
import pytest

from lab.crowds import HEIGHT, WALDO, _somebody, draw_crowd, draw_template


def test_a_seed_draws_one_crowd():
    once, again, other = (draw_crowd(seed, (160, 240)) for seed in (3, 3, 4))
    assert (once.pixels == again.pixels).all() and (once.centres == again.centres).all()
    assert (once.pixels != other.pixels).any()


@pytest.mark.parametrize("waldos", [0, 1, 5])
def test_every_waldo_is_inside_and_apart_from_the_others(waldos):
    crowd = draw_crowd(0, (240, 320), waldos)
    assert crowd.pixels.shape == (240, 320, 3) and crowd.pixels.dtype == np.uint8
    assert crowd.centres.shape == (waldos, 2)
    assert (crowd.centres > 20).all() and (crowd.centres < np.array([320, 240]) - 20).all()
    apart = np.abs(crowd.centres[:, None] - crowd.centres).max(2)
    assert (apart[~np.eye(waldos, dtype=bool)] > HEIGHT / 4).all()


def test_a_waldo_is_striped_in_red_and_white_where_he_is_said_to_be():
    for seed in range(4):
        crowd = draw_crowd(seed, (240, 320))
        x, y = crowd.centres[0].astype(int)
        seen = crowd.pixels[y - 4 : y + 8, x - 3 : x + 4].astype(float)
        redness = (seen[..., 0] - seen[..., 1:].mean(2)).mean(1) / seen[..., 0].mean()
        assert redness.max() > 0.5 and redness.min() < 0.35


def test_nobody_else_is_dressed_as_he_is():
    random = np.random.default_rng(0)
    worn = [(each.shirt, each.upright, each.hat, each.glasses) for each in (_somebody(random) for _ in range(3000))]
    assert (WALDO.shirt, WALDO.upright, WALDO.hat, WALDO.glasses) not in worn
    shared = np.mean([shirt == WALDO.shirt or hat == WALDO.hat for shirt, _, hat, _ in worn])
    assert shared == pytest.approx(0.25, abs=0.04)


def test_the_template_is_he_and_its_mask_hides_the_rest():
    template, mask = draw_template()
    assert template.shape == (40, 32, 3) and mask.shape == (40, 32)
    assert mask[0, 0] == 0 and mask[20, 16] == 1 and 0.3 < mask.mean() < 0.6
    assert mask.min() >= 0 and mask.max() <= 1
