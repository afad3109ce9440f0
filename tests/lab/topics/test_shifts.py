"""A random matrix that is asked not to care about shifts becomes a convolution."""

import json
from pathlib import Path

import pytest
from PIL import Image

from lab.topics.shifts import NEAR, draw

ROOT = Path(__file__).parents[3] / "docs" / "lab"
FULL = json.loads((ROOT / "pictures" / "shifts" / "figures.json").read_text())


@pytest.fixture(scope="module")
def figures(quick):
    return quick("shifts")[0]


@pytest.mark.parametrize("which", ["of this run", "on the page"])
def test_every_descent_ends_near_the_projection_of_its_start_and_diagonal_in_the_fourier_basis(which, figures):
    shown = figures if which == "of this run" else FULL
    for each in shown["descents"]:
        assert each["distance"][1] < NEAR and each["from_projection"] < 2 * NEAR
        assert each["off_diagonal"][1] < NEAR**2
        assert each["shift_error"][1] < NEAR < 1 < each["shift_error"][0]


def test_random_matrices_do_not_commute_and_circulants_do(figures):
    products = figures["products"]
    assert products["random matrices"]["commutator"] > 0.5
    assert max(products["their nearest circulants"].values()) < 1e-12


def test_the_animation_goes_from_the_first_step_to_the_last(figures, tmp_path):
    animation, ends = draw(figures, tmp_path)
    with Image.open(animation) as picture:
        assert picture.n_frames > 10
    with Image.open(ends) as picture:
        assert picture.width == 1000


def test_what_the_page_says_in_words_is_so():
    page = (ROOT / "shifts.md").read_text()
    assert f"a random matrix of {FULL['n']} by {FULL['n']}" in page
    assert f"took {FULL['plain_steps']:,} steps, Polyak's momentum {FULL['descents'][0]['steps']}." in page
