"""A template takes others for Waldo; a detector that has seen those others does not."""

import json
from pathlib import Path

import numpy as np
import pytest

from lab.crowds import draw_crowd
from lab.detector import Detector
from lab.topics.waldo import LEARNED, MOST, TILE, Answer, Wanted

LAB = Path(__file__).parents[3] / "docs" / "lab"
PAGE = (LAB / "waldo.md").read_text()
FULL = json.loads((LAB / "pictures" / "waldo" / "figures.json").read_text())


@pytest.fixture(scope="module")
def figures(quick):
    return quick("waldo")[0]


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


def test_in_tiles_the_map_is_that_of_the_whole():
    pixels, detector = draw_crowd(0, (300, 420)).pixels, Detector()
    assert np.abs(detector.map(pixels, TILE) - detector.map(pixels, 1000)).max() <= 1e-6
    assert FULL["tiles"]["differ_by"] <= 1e-6 * FULL["tiles"]["of"]


def test_what_the_page_says_in_words_is_so():
    ahead = {name: np.array(counts) for name, counts in FULL["ahead"].items()}
    assert f"{FULL['crowds']} crowds" in PAGE and f"{FULL['parameters']:,} parameters" in PAGE
    assert (ahead[LEARNED] == 0).sum() > (ahead["learned, any negatives"] == 0).sum()
    assert all((ahead[LEARNED] == 0).sum() > (counts == 0).sum() for name, counts in ahead.items() if name != LEARNED)
