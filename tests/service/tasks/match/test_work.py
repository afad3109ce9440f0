import re

import numpy as np
import pytest

from scs.errors import OptionError, TooLargeError
from service.api.match import MatchOptions
from service.settings import Settings
from service.tasks.match.cost import estimated_work
from service.tasks.match.shapes import MatchShapes
from service.tasks.match.work import check_work

UHD = (2160, 3840, 3)


def shapes(scene, *templates, masked=False):
    return MatchShapes(scene, list(templates), [masked] * len(templates))


def test_one_upright_template_takes_about_a_unit_a_number():
    for scene in ((1024, 1024, 1), (1000, 1500, 3)):
        work = estimated_work(shapes(scene, (64, 64, scene[2])), MatchOptions())
        assert 0.4 < work / np.prod(scene) < 2


@pytest.mark.parametrize(
    ("templates", "options"),
    [
        ([(200, 200, 3)], {"angles": "auto", "scales": "auto"}),
        ([(64, 64, 3)], {"angles": "-180:180"}),
        ([(100, 60, 3)] * 24, {}),
        ([(100, 60, 3)], {"method": "parts"}),
    ],
)
def test_ordinary_matches_in_a_4k_picture_are_allowed(templates, options):
    check_work(shapes(UHD, *templates), MatchOptions(**options), Settings())


@pytest.mark.parametrize(
    ("scene", "template", "options"),
    [
        ((1, 1, 2**20), (1, 1, 2**20), {}),
        ((2, 2, 2**20), (1, 1, 2**20), {}),
        (UHD, (3, 100, 3), {"angles": "auto"}),
        (UHD, (5, 400, 3), {"angles": "auto", "scales": "0.05:20"}),
        (UHD, (1500, 1500, 3), {"angles": "auto", "top": 100}),
        (UHD, (1000, 1000, 3), {"scales": "0.9:1.1", "top": 100}),
        ((2048, 2048, 200), (64, 64, 200), {"method": "sqdiff"}),
    ],
)
def test_matches_that_would_take_too_long_are_not(scene, template, options):
    with pytest.raises(TooLargeError, match="units of work"):
        check_work(shapes(scene, template), MatchOptions(**options), Settings())


@pytest.mark.parametrize(
    ("more", "less"),
    [
        ((shapes((64, 64, 50), (8, 8, 50)), {}), (shapes((64, 64, 5), (8, 8, 5)), {})),
        ((shapes((400, 400, 3), (8, 8, 3), masked=True), {}), (shapes((400, 400, 3), (8, 8, 3)), {})),
        ((shapes((400, 400, 3), (8, 8, 3)), {"method": "sqdiff"}), (shapes((400, 400, 3), (8, 8, 3)), {})),
        ((shapes((400, 400, 1), (40, 40, 1)), {"angles": "auto"}), (shapes((400, 400, 1), (40, 40, 1)), {})),
        (
            (shapes((400, 400, 1), (4, 300, 1)), {"angles": "auto"}),
            (shapes((400, 400, 1), (35, 35, 1)), {"angles": "auto"}),
        ),
        (
            (shapes((400, 400, 1), (40, 40, 1)), {"angles": "auto", "top": 100}),
            (shapes((400, 400, 1), (40, 40, 1)), {"angles": "auto", "top": 1}),
        ),
    ],
    ids=["channels", "mask", "judged", "poses", "thin", "top"],
)
def test_what_makes_a_match_slower_makes_its_estimate_larger(more, less):
    larger, smaller = (estimated_work(seen, MatchOptions(**options)) for seen, options in (more, less))
    assert larger > 1.5 * smaller


@pytest.mark.parametrize("options", [{}, {"angles": "auto"}, {"method": "parts"}])
def test_the_largest_scene_that_the_refusal_names_is_not_refused(options):
    asked, template = MatchOptions(**options), (40, 30, 3)
    most = estimated_work(shapes((1000, 1500, 3), template), asked) // 2
    tight = Settings(max_match_work=most)
    with pytest.raises(TooLargeError, match=f"at most {most} are allowed") as refused:
        check_work(shapes((1000, 1500, 3), template), asked, tight)
    pixels = int(re.search(r"a scene of at most (\d+) pixels", str(refused.value))[1])
    assert 0.2 * 1_500_000 < pixels < 0.9 * 1_500_000
    rows = int((pixels * 2 / 3) ** 0.5)
    check_work(shapes((rows, pixels // rows - 1, 3), template), asked, tight)


def test_no_scene_is_named_where_none_would_do():
    with pytest.raises(TooLargeError, match="are allowed .SCS_MAX_MATCH_WORK.: take fewer or smaller templates"):
        check_work(shapes((500, 500, 3), (490, 490, 3)), MatchOptions(angles="auto"), Settings(max_match_work=1000))


@pytest.mark.parametrize("options", [{"angles": "-400:0"}, {"scales": "0.01:1"}, {"scales": "1:30"}])
def test_angles_and_scales_are_within_a_range(options):
    with pytest.raises(OptionError, match="lie between"):
        check_work(shapes((100, 100, 1), (10, 10, 1)), MatchOptions(**options), Settings())
