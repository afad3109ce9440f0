import cv2
import numpy as np
import pytest
from skimage import data

from scs.matching.coarse.follow import Follower
from scs.matching.scores import score_map


@pytest.mark.parametrize("scene", [data.coins()[..., None], data.coffee(), data.camera()[..., None].astype(np.float64)])
@pytest.mark.parametrize("factor", [2, 3, 5, 8])
def test_a_place_is_followed_to_the_best_one_near_it(scene, factor):
    template = scene[101:171, 203:283]
    starts = np.array([[101 + factor // 2, 203 - factor // 2], [101 - factor // 2, 203 + factor // 2], [101, 203]])
    places, scores = Follower(template, factor).follow(scene, starts)
    assert places.tolist() == [[101, 203]] * 3
    assert scores == pytest.approx(1, abs=1e-4)


def test_its_scores_are_those_of_the_map():
    scene = data.coffee()
    template = scene[101:171, 203:283]
    starts = np.array([[50, 100], [300, 10], [0, 0], [400 - 70, 600 - 80]])
    places, scores = Follower(template, 2).follow(scene, starts)
    exact = score_map(scene, template).scores
    likely = scores > 0.6
    assert scores[likely] == pytest.approx(exact[places[likely, 0], places[likely, 1]], abs=1e-4)
    for (row, column), score, start in zip(places, scores, starts, strict=True):
        top, left = np.maximum(start - 2, 0)
        near = exact[top : top + 5, left : left + 5]
        assert score == pytest.approx(near.max(), abs=1e-4)
        assert exact[row, column] == near.max()


def test_large_templates_are_followed_by_some_of_their_rows():
    scene = np.kron(data.camera(), np.ones((2, 2), np.uint8))[..., None]
    template = scene[101:501, 203:703]
    places, _ = Follower(template, 8).follow(scene, np.array([[104, 200]]))
    assert abs(places[0] - [101, 203]).max() <= 1


def test_a_likely_place_is_followed_on_where_scores_still_rise_at_the_end_of_its_reach():
    scene = cv2.GaussianBlur(data.camera(), (0, 0), 5)[..., None]
    places, scores = Follower(scene[101:171, 203:283], 2).follow(scene, np.array([[104, 200], [98, 206]]))
    assert places.tolist() == [[101, 203]] * 2
    assert scores == pytest.approx(1, abs=1e-4)
