"""A template takes others for Waldo; a detector that has seen those others does not."""

import json
from pathlib import Path

import numpy as np
import pytest

from lab.crowds import draw_crowd
from lab.detector import Detector
from lab.topics.waldo import TILE
from lab.waldo import LEARNED

LAB = Path(__file__).parents[3] / "docs" / "lab"
PAGE = (LAB / "waldo.md").read_text()
FULL = json.loads((LAB / "pictures" / "waldo" / "figures.json").read_text())


@pytest.fixture(scope="module")
def figures(quick):
    return quick("waldo")[0]


def test_in_tiles_the_map_is_that_of_the_whole():
    pixels, detector = draw_crowd(0, (300, 420)).pixels, Detector()
    assert np.abs(detector.map(pixels, TILE) - detector.map(pixels, 1000)).max() <= 1e-6
    assert FULL["tiles"]["differ_by"] <= 1e-6 * FULL["tiles"]["of"]


def test_what_the_page_says_in_words_is_so():
    ahead = {name: np.array(counts) for name, counts in FULL["ahead"].items()}
    assert f"{FULL['crowds']} crowds" in PAGE and f"{FULL['parameters']:,} parameters" in PAGE
    assert (ahead[LEARNED] == 0).sum() > (ahead["learned, any negatives"] == 0).sum()
    assert all((ahead[LEARNED] == 0).sum() > (counts == 0).sum() for name, counts in ahead.items() if name != LEARNED)
