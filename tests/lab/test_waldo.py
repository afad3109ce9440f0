"""One figure is looked for in a crowd, and places are told in pixels of the scene as it came."""

import numpy as np
import pytest

from lab.crowds import draw_crowd
from lab.waldo import MOST, Answer, Wanted, search
from scs.errors import OptionError


def test_places_are_in_pixels_of_the_scene_best_first_and_apart():
    scores = np.zeros((30, 40), np.float32)
    scores[5, 7], scores[5, 8], scores[20, 30] = 2, 1.5, 1
    first, second, *_ = Answer(scores, stride=4, first=20.0).places()
    assert (first.x, first.y, first.score) == (48, 40, 2) and (second.x, second.y) == (140, 100)


def test_those_ahead_of_him_are_counted():
    scores = np.zeros((200, 300), np.float32)
    scores[50, 60], scores[150, 100], scores[100, 250] = 3, 2, 1
    answer = Answer(scores, 1, 0.5)
    assert [answer.ahead(np.array(place)) for place in ((60, 50), (104, 148), (250, 100))] == [0, 1, 2]
    assert Answer(np.zeros((40, 40), np.float32), 1, 0.5).ahead(np.array([900, 900])) == MOST


def test_somebody_cut_out_of_a_scene_is_found_in_it_by_every_template():
    crowd = draw_crowd(5, (240, 320))
    x, y = crowd.centres[0].round()
    wanted = Wanted.cut(crowd.pixels, (x - 16, y - 20, 32, 40))
    assert all(answer.ahead(crowd.centres[0]) == 0 for answer in wanted.templates(crowd.pixels).values())


def test_places_are_in_pixels_of_the_scene_as_it_came():
    scene = draw_crowd(5, (480, 640), waldos=1)
    x, y = scene.centres[0].round()
    done = search(scene.pixels, (x - 16, y - 20, 32, 40), tall=48, steps=1, seed=0, on_step=lambda done, total: None)
    (best,) = done.places(1)["ZNCC"]
    assert (best.x, best.y) == (pytest.approx(x, abs=2), pytest.approx(y, abs=2))
    assert done.side == pytest.approx(40)


@pytest.mark.parametrize("box", [(0, 0, 7, 40), (0, 0, 40, 101), (90, 0, 40, 40)])
def test_a_box_too_small_or_beyond_the_scene_is_refused(box):
    with pytest.raises(OptionError, match="at least 8x8 and inside the scene, 120x100 here"):
        search(np.zeros((100, 120, 3), np.uint8), box, tall=48, steps=1, seed=0, on_step=lambda done, total: None)
