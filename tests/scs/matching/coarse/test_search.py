"""The search from coarse to fine answers as the whole map does, or leaves the question to it."""

import cv2
import numpy as np
import pytest
from skimage import data

from scs.errors import ShapeError
from scs.matching import upright
from scs.matching.coarse import plan, search
from scs.matching.coarse.search import CoarseSearch, serves
from scs.matching.finding import Search, find

PHOTOGRAPHS = [getattr(data, name)() for name in ("camera", "astronaut", "coffee", "chelsea", "coins", "moon")]
SAME = 1e-4  # of scores


@pytest.fixture
def any_size(monkeypatch):
    """Lift the limits below which a scene is left to the whole map."""
    monkeypatch.setattr(search, "_LEAST_PIXELS", 0)
    monkeypatch.setattr(search, "_LEAST_PLACES", 0)
    monkeypatch.setattr(plan, "_LEAST_PIXELS", 2**10)


def whole(scene, template, asked):
    return upright.find_in_maps(scene, [template], [None], asked)[0][0]


def quick(scene, template, asked=None):
    return next(CoarseSearch(scene, asked or Search()).find([template]))


def rendered(picture, number, rng):
    """A photograph blurred, noisy, compressed, darker, moved by a part of a pixel, or as it is."""
    if number % 6 == 1:
        return cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.5, 1.2))
    if number % 6 == 2:
        return np.clip(picture + rng.normal(0, 8, picture.shape), 0, 255).astype(np.uint8)
    if number % 6 == 3:
        return cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_UNCHANGED)
    if number % 6 == 4:
        return (picture * 0.7 + 10).astype(np.uint8)
    if number % 6 == 5:
        step = np.float32([[1, 0, rng.uniform(-0.5, 0.5)], [0, 1, rng.uniform(-0.5, 0.5)]])
        return cv2.warpAffine(picture, step, picture.shape[1::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return picture


@pytest.mark.parametrize(
    "asked, least", [(Search(), 30), (Search(top=4, threshold=0.8), 10), (Search("scs_centred", p=3.0), 30)]
)
def test_no_match_of_the_whole_map_above_eight_tenths_is_lost(any_size, asked, least):
    rng = np.random.default_rng(3)
    answered = 0
    for number in range(60):
        picture = PHOTOGRAPHS[number % len(PHOTOGRAPHS)]
        height, width = rng.integers(28, 120, 2)
        row, column = rng.integers(0, picture.shape[0] - height + 1), rng.integers(0, picture.shape[1] - width + 1)
        template, scene = picture[row : row + height, column : column + width], rendered(picture, number, rng)
        found = quick(scene, template, asked)
        if found is None:
            continue
        answered += 1
        for match, expected in zip(found[0], whole(scene, template, asked), strict=True):
            assert match.score == pytest.approx(expected.score, abs=SAME)
            assert (match.x, match.y) == pytest.approx((expected.x, expected.y), abs=0.01)
            assert match.present == expected.present
    assert answered > least


def test_a_large_scene_is_searched_from_coarse_to_fine():
    scene = cv2.resize(data.astronaut(), (1536, 1024), interpolation=cv2.INTER_CUBIC)
    template = scene[300:400, 700:820]
    match = quick(scene, template)[0][0]
    assert (match.x, match.y, match.score) == pytest.approx((760, 350, 1), abs=0.01)
    assert find(scene, [template]).matches == [match]


@pytest.mark.parametrize("row, column", [(0, 0), (0, 451 - 50), (300 - 40, 0), (300 - 40, 451 - 50), (100, 451 - 50)])
def test_matches_at_the_rim_are_found(any_size, row, column):
    scene = data.chelsea()
    match = quick(scene, scene[row : row + 40, column : column + 50])[0][0]
    assert (match.x, match.y) == pytest.approx((column + 25, row + 20), abs=0.5)


def test_copies_are_all_found(any_size):
    scene = data.camera().copy()
    template = data.astronaut()[60:110, 190:250, 1]
    places = [(20, 30), (200, 333), (401, 99)]
    for row, column in places:
        scene[row : row + 50, column : column + 60] = template
    found = quick(scene, template, Search(top=5, threshold=0.9))[0]
    assert {(round(match.y - 25), round(match.x - 30)) for match in found if match.present} == set(places)


def test_an_absent_template_is_left_to_the_whole_map(any_size):
    assert quick(data.camera(), data.astronaut()[60:110, 190:250, 1]) is None


def test_noise_whose_contrast_is_finer_than_the_shrunk_scene_is_left_to_the_whole_map(any_size):
    scene = np.random.default_rng(0).integers(0, 256, (400, 400), dtype=np.uint8)
    assert quick(scene, scene[50:110, 70:130]) is None


def test_a_small_scene_is_left_to_the_whole_map():
    scene = data.camera()
    assert quick(scene, scene[100:160, 200:260]) is None


def test_what_is_not_served():
    scene = data.camera()
    assert serves(scene, None, Search()) and serves(scene, None, Search("scs_centred"))
    for asked in (
        Search("ccorr_normed"),
        Search("scs_centred", q=1.0),
        Search(polarity="either"),
        Search(border="partial"),
        Search(overlap=0.9),
        Search(top=1000),
        Search("pixels"),
    ):
        assert not serves(scene, None, asked)
    assert not serves(scene, np.ones((8, 8)), Search())
    assert not serves(scene[0], None, Search())


def test_a_bank_answers_as_its_templates_alone(any_size):
    scene = data.astronaut()
    templates = [scene[10 * i : 10 * i + 40 + 10 * (i % 2), 30 * i : 30 * i + 60] for i in range(6)]
    together = list(CoarseSearch(scene, Search()).find(templates))
    assert together == [quick(scene, template) for template in templates]


def test_a_template_larger_than_its_scene_is_refused_as_ever():
    with pytest.raises(ShapeError, match="template must fit"):
        find(np.zeros((50, 50), np.uint8), [np.zeros((60, 60), np.uint8)])
