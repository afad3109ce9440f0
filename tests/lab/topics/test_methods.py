"""Six scores are OpenCV's, and find what the page says they find."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from lab.topics.methods import BOX, CHANGES, METHODS, NEAR, best, changed, is_found, photograph, template
from scs.matching.scores import score_map

PAGE = (Path(__file__).parents[3] / "docs" / "lab" / "methods.md").read_text()


@pytest.fixture(scope="module")
def figures(quick):
    return quick("methods")[0]


@pytest.mark.parametrize("method", METHODS)
def test_the_maps_are_those_of_opencv(method):
    ours = score_map(photograph(), template(), method).scores
    theirs = cv2.matchTemplate(photograph(), template(), getattr(cv2, f"TM_{method.upper()}"))
    assert best(ours, method) == best(theirs, method)
    np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max())


def test_only_the_dot_product_is_wrong_in_the_unchanged_photograph(figures):
    assert [method for method, found in figures["found"]["as it is"].items() if not is_found(found["place"])] == [
        "ccorr"
    ]


def test_pearson_does_not_mind_light_and_no_score_takes_a_negative(figures):
    for how in CHANGES[:5]:
        assert is_found(figures["found"][how]["ccoeff_normed"]["place"]), how
    assert not any(is_found(found["place"]) for found in figures["found"]["its negative"].values())
    negative = score_map(changed(photograph(), "its negative"), template(), "ccoeff_normed").scores
    assert negative[BOX[:2]] == negative.min() == pytest.approx(-1, abs=1e-3)


def test_what_the_page_says_in_words_is_so():
    assert f"within {NEAR} pixels" in PAGE
    assert re.findall(r"^\| `(\w+)` \| `TM_", PAGE, re.MULTILINE) == list(METHODS)
