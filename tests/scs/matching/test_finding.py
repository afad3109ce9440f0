import numpy as np
import pytest
from skimage import data, transform

from scs.errors import OptionError, ShapeError
from scs.matching.deformable.parts import PartsTemplate
from scs.matching.finding import METHOD_NAMES, PARTS, Found, Search, find, heatmap
from scs.matching.methods import METHODS

SCENE = data.camera()[::2, ::2]
ROW, COLUMN, HEIGHT, WIDTH = 50, 90, 30, 40
TEMPLATE = SCENE[ROW : ROW + HEIGHT, COLUMN : COLUMN + WIDTH]
CENTRE = COLUMN + WIDTH / 2, ROW + HEIGHT / 2


@pytest.mark.parametrize("method", [name for name in METHOD_NAMES if name not in ("ccorr", "ccoeff", "features")])
def test_a_template_is_found_where_it_was_cut_out(method):
    found = find(SCENE, [TEMPLATE], Search(method))
    match = found.matches[0]
    assert (match.x, match.y) == pytest.approx(CENTRE, abs=4 if method == PARTS else 0.1)
    assert (match.width, match.height, match.angle, match.scale) == (WIDTH, HEIGHT, 0, 1)
    if method != PARTS:
        assert match.present
        lower = method in METHODS and METHODS[method].lower_is_better
        assert match.score == pytest.approx(0 if lower else 1, abs=50)


def test_corners_go_round_from_the_top_left():
    match = find(SCENE, [TEMPLATE]).matches[0]
    left, top = COLUMN, ROW
    right, bottom = COLUMN + WIDTH, ROW + HEIGHT
    np.testing.assert_allclose(match.corners, [[left, top], [right, top], [right, bottom], [left, bottom]], atol=0.1)


def test_a_turned_and_smaller_copy_is_found_with_its_pose():
    similar = transform.SimilarityTransform(rotation=np.radians(35), scale=1.6, translation=(150, 20))
    large = data.camera()
    scene = (255 * transform.warp(large, similar, output_shape=(240, 240), order=3)).clip(0, 255).astype(np.uint8)
    x, y = 110.0, 120.0
    column, row = np.rint(similar([[x - 0.5, y - 0.5]])[0]).astype(int)
    x, y = similar.inverse([[column, row]])[0] + 0.5
    template = large[row - 32 : row + 33, column - 32 : column + 33]
    match = find(scene, [template], Search(angles="-180:180", scales="0.5:1")).matches[0]
    assert (match.x, match.y) == pytest.approx((x, y), abs=0.5)
    assert match.scale == pytest.approx(1 / 1.6, rel=0.02)
    assert abs(match.angle) == pytest.approx(35, abs=1)
    assert match.present


def test_the_best_match_of_several_templates_comes_first_and_says_which():
    absent = data.astronaut()[:30, :40, 0]
    found = find(SCENE, [absent, TEMPLATE], Search(top=2))
    assert found.matches[0].template == 1
    assert [match.present for match in found.matches if match.template == 0] == [False] * 2
    assert len(found.flat) == 2
    scores = [match.score for match in found.matches]
    assert scores == sorted(scores, reverse=True)


def test_several_instances_are_found():
    scene = np.random.default_rng(0).integers(0, 90, (200, 240)).astype(np.uint8)
    places = [(20, 30), (90, 150), (150, 60)]
    for row, column in places:
        scene[row : row + HEIGHT, column : column + WIDTH] = TEMPLATE
    found = find(scene, [TEMPLATE], Search(top=5))
    present = {(round(match.y - HEIGHT / 2), round(match.x - WIDTH / 2)) for match in found.matches if match.present}
    assert present == set(places)


def test_a_threshold_drops_what_is_below_it_or_above_it_where_lower_is_better():
    best = find(SCENE, [TEMPLATE], Search(top=20, threshold=0.9)).matches
    assert len(best) == 1
    differences = find(SCENE, [TEMPLATE], Search("sqdiff", top=20, threshold=1e6)).matches
    assert [(round(match.y), round(match.x)) for match in differences] == [(round(CENTRE[1]), round(CENTRE[0]))]
    assert find(SCENE, [TEMPLATE], Search(threshold=1.5)).matches == []


def test_a_flat_template_is_found_nowhere():
    found = find(SCENE, [np.full((20, 20), 9, np.uint8)])
    assert found.matches == []
    assert found.flat == [1.0]


def test_a_mask_hides_what_is_not_the_thing():
    spoilt = TEMPLATE.copy()
    spoilt[:, :15] = np.random.default_rng(0).integers(0, 256, (HEIGHT, 15))
    mask = np.ones((HEIGHT, WIDTH))
    mask[:, :15] = 0
    match = find(SCENE, [spoilt], masks=[mask]).matches[0]
    assert match.score == pytest.approx(1, abs=1e-5)
    assert (match.x, match.y) == pytest.approx(CENTRE, abs=0.1)
    assert find(SCENE, [spoilt]).matches[0].score < 0.9


def test_a_motif_in_a_series_has_a_position():
    series = np.random.default_rng(0).normal(size=5000)
    match = find(series, [series[1234:1300]]).matches[0]
    assert match.x == pytest.approx(1234 + 33, abs=0.1)
    assert match.present


def test_parts_may_come_from_a_box_in_a_reference():
    colour = data.astronaut()[::2, ::2]
    template = PartsTemplate.from_box(colour, (90, 20, 50, 60))
    match = find(colour, [template], Search(PARTS)).matches[0]
    assert (match.x, match.y) == pytest.approx((115, 50), abs=5)


def test_the_heatmap_of_a_pose_is_highest_at_the_match():
    turned = np.rot90(TEMPLATE)
    search = Search(angles=[0, 90, 180, 270])
    match = find(SCENE, [turned], search).matches[0]
    assert match.angle == pytest.approx(270, abs=0.5)
    centre = match.x, match.y
    assert heatmap(SCENE, turned, search, angle=match.angle, centre=centre).scores.max() == pytest.approx(
        match.score, abs=0.01
    )
    scores = heatmap(SCENE, turned, search, angle=match.angle, scale=match.scale).scores
    row, column = np.unravel_index(scores.argmax(), scores.shape)
    window = np.array(SCENE.shape) - scores.shape + 1
    assert (column + window[1] / 2, row + window[0] / 2) == pytest.approx((match.x, match.y), abs=1)


@pytest.mark.parametrize("method", ["ccoeff_normed", "scs_centred", "sqdiff", "ccorr"])
def test_where_nothing_is_there_to_compare_with_the_score_decides(method):
    scene = SCENE[ROW - 1 : ROW + HEIGHT + 1, COLUMN - 1 : COLUMN + WIDTH + 1]
    match = find(scene, [TEMPLATE], Search(method)).matches[0]
    assert match.present
    other = data.astronaut()[100 : 100 + HEIGHT, 100 : 100 + WIDTH, 0]
    assert not any(match.present for match in find(scene, [other], Search(method)).matches)


def test_a_template_as_large_as_its_scene_is_found_as_it_lies():
    for search in (Search(angles="-10:10"), Search(scales="0.5:2"), Search(angles="auto", scales="auto")):
        match = find(SCENE, [SCENE], search).matches[0]
        assert (match.angle, match.scale) == (0, 1)
        assert match.score == pytest.approx(1, abs=1e-5)


def test_an_exact_copy_is_found_exactly_though_it_might_be_turned_and_scaled():
    match = find(SCENE, [TEMPLATE], Search(angles="-20:20", scales="0.8:1.25")).matches[0]
    assert (match.angle, match.scale) == (0, 1)
    assert (match.x, match.y) == pytest.approx(CENTRE, abs=0.05)


def test_poses_lie_within_what_was_asked_for():
    large = data.camera()
    found = find(large, [large[100:112, 200:212]], Search(angles="3:10", scales="1.05:1.1", top=20))
    assert found.matches
    for match in found.matches:
        assert 3 <= match.angle <= 10
        assert 1.05 - 1e-9 <= match.scale <= 1.1 + 1e-9


def test_a_flat_template_that_may_be_turned_is_flat():
    assert find(SCENE, [np.full((20, 20), 9, np.uint8)], Search(angles="auto")) == Found([], [1.0], [False])


def test_a_search_that_makes_no_sense_is_refused():
    with pytest.raises(OptionError, match="no method 'best'"):
        Search("best")
    with pytest.raises(OptionError, match="top is 1 or more; 0 came"):
        Search(top=0)
    with pytest.raises(OptionError, match="'parts' bends a template but does not turn"):
        Search(PARTS, angles="auto")
    with pytest.raises(OptionError, match="'parts' takes no mask"):
        find(SCENE, [TEMPLATE], Search(PARTS), masks=[np.ones(TEMPLATE.shape)])
    with pytest.raises(OptionError, match="overlap is a share, 0 to 1; 2 came"):
        Search(overlap=2)
    with pytest.raises(OptionError, match="a threshold is a number; nan came"):
        Search(threshold=float("nan"))
    with pytest.raises(OptionError, match="p is a number above 0; 0 came"):
        Search(p=0)
    with pytest.raises(OptionError, match="templates come in a list, even a single one"):
        find(SCENE, TEMPLATE)
    with pytest.raises(OptionError, match="masks are one, or None, for each of 1 templates; 2 came"):
        find(SCENE, [TEMPLATE], masks=[None, None])
    with pytest.raises(OptionError, match="a mask of zeros hides all of its template"):
        find(SCENE, [TEMPLATE], masks=[np.zeros(TEMPLATE.shape)])
    with pytest.raises(ShapeError, match="a template must fit inside its scene"):
        find(TEMPLATE, [SCENE])


def test_bytes_in_another_order_are_the_same_numbers():
    for kind in (">u2", ">f4", ">f8"):
        assert find(SCENE.astype(kind), [TEMPLATE.astype(kind)]).matches[0].score == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("kind", ["int8", "int16", "int32", "int64", "uint32", "uint64", "float16", "float32"])
def test_any_type_of_number_is_compared(kind):
    scene = (SCENE // 4).astype(kind)
    match = find(scene, [scene[ROW : ROW + HEIGHT, COLUMN : COLUMN + WIDTH]]).matches[0]
    assert match.score == pytest.approx(1, abs=1e-5)
    assert (match.x, match.y) == pytest.approx(CENTRE, abs=0.1)


def test_numbers_that_are_none_are_refused():
    with pytest.raises(OptionError, match="holds integers or floating-point numbers but this one holds complex128"):
        find(SCENE.astype(complex), [TEMPLATE])


@pytest.mark.parametrize("search", [{}, {"angles": "-10:10"}], ids=["upright", "posed"])
def test_inverted_contrast_is_found_on_request(search):
    inverted = 255 - SCENE
    assert not any(match.present for match in find(inverted, [TEMPLATE], Search(**search)).matches)
    match = find(inverted, [TEMPLATE], Search(polarity="either", **search)).matches[0]
    assert match.score == pytest.approx(-1, abs=1e-4)
    assert (match.x, match.y) == pytest.approx(CENTRE, abs=0.1)
    assert match.present


def test_a_signal_is_found_whatever_its_sign_and_length():
    rng = np.random.default_rng(0)
    motif = np.convolve(rng.normal(size=80), np.ones(7) / 7, "same")
    longer = np.interp(np.linspace(0, 79, 100), np.arange(80), motif)
    series = 0.02 * rng.normal(size=3000)
    series[500:600] -= longer
    series[2000:2080] += motif
    found = find(series, [motif], Search(scales="0.8:1.4", polarity="either", top=4)).matches
    first, second = sorted((match for match in found if match.present), key=lambda match: match.x)
    assert (first.x, first.scale) == (pytest.approx(550, abs=1), pytest.approx(1.25, rel=0.02))
    assert (second.x, second.scale) == (pytest.approx(2040, abs=1), pytest.approx(1, rel=0.02))
    assert first.score < -0.9 and second.score > 0.9
    with pytest.raises(OptionError, match="a signal is not turned"):
        find(series, [motif], Search(angles="auto"))


@pytest.mark.parametrize(("row", "column", "share"), [(0, 12, 0.7), (-10, 60, 2 / 3), (-8, -12, 22 * 28 / 1200)])
def test_what_the_border_cuts_off_is_found_by_what_is_left(row, column, share):
    template = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH)).astype(np.uint8)
    scene = SCENE.copy()
    if (row, column) == (0, 12):
        scene[:, :28] = 90
        scene[40 : 40 + HEIGHT, :28] = template[:, 12:]
        place = (8.0, 55.0)
    else:
        top, left = max(row, 0), max(column, 0)
        part = template[top - row :, left - column :]
        scene[top : top + part.shape[0], left : left + part.shape[1]] = part
        place = (column + WIDTH / 2, row + HEIGHT / 2)
    match = find(scene, [template], Search(border="partial")).matches[0]
    assert (match.x, match.y) == pytest.approx(place, abs=0.1)
    assert match.visible == pytest.approx(share, abs=0.02)
    assert match.score == pytest.approx(1, abs=1e-5)
    assert match.present
    assert find(scene, [template]).matches[0].score < 0.9


def test_with_a_border_whole_matches_stay_as_they_are():
    whole, partial = (find(SCENE, [TEMPLATE], Search(border=border)).matches[0] for border in ("whole", "partial"))
    assert (partial.x, partial.y, partial.visible) == (pytest.approx(whole.x), pytest.approx(whole.y), 1)


def test_a_region_is_searched_in_the_coordinates_of_the_scene():
    match = find(SCENE, [TEMPLATE], Search(region=(80, 40, 70, 60))).matches[0]
    assert (match.x, match.y) == pytest.approx(CENTRE, abs=0.1)
    assert not any(match.present for match in find(SCENE, [TEMPLATE], Search(region=(150, 100, 100, 100))).matches)
    assert heatmap(SCENE, TEMPLATE, Search(region=(80, 40, 70, 60))).scores.shape == (31, 31)
    with pytest.raises(OptionError, match="lies inside the scene, 256x256 here; 200,0,100,50 came"):
        find(SCENE, [TEMPLATE], Search(region=(200, 0, 100, 50)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"polarity": "maybe"}, "polarity is same or either; 'maybe' came"),
        ({"border": "torn"}, "border is whole or partial; 'torn' came"),
        ({"method": "sqdiff", "polarity": "either"}, "is for methods whose scores have a sign"),
        ({"method": "scs", "border": "partial"}, "is for ccoeff_normed and scs_centred"),
        ({"method": "pixels", "scales": "auto"}, "'pixels' compares pixels as they are"),
        ({"region": "0,0,50,50"}, "a region is .x, y, width, height. in whole pixels; 0,0,50,50 came"),
        ({"region": (0, 0, 50)}, "in whole pixels"),
        ({"region": (0, 0, 50.5, 50)}, "in whole pixels"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, message):
    with pytest.raises(OptionError, match=message):
        Search(**options)


def test_a_difference_of_nothing_is_present_even_of_one_colour():
    scene = np.random.default_rng(0).integers(0, 255, (60, 60)).astype(np.uint8)
    scene[20:30, 30:40] = 7
    match = find(scene, [np.full((10, 10), 7, np.uint8)], Search("sqdiff")).matches[0]
    assert match.score == pytest.approx(0, abs=1e-6)
    assert match.present
    assert not find(scene, [np.full((10, 10), 250, np.uint8)], Search("sqdiff")).matches[0].present


@pytest.mark.parametrize("method", ["scs", "ccorr_normed", "ccorr"])
def test_a_signal_that_is_the_negative_of_its_template_is_a_match_of_either_polarity(method):
    random = np.random.default_rng(0)
    template = np.hanning(40) * np.sin(np.linspace(0, 20, 40))
    scene = random.normal(0, 0.02, 400)
    scene[150:190] -= template
    search = Search(method, polarity="either")
    match = find(scene, [template], search).matches[0]
    assert match.score < 0 and match.x == pytest.approx(170, abs=0.5) and match.present
    assert not any(match.present for match in find(scene, [template], Search(method)).matches)


def test_the_negative_of_a_picture_has_no_sign_unless_the_mean_is_taken_off():
    with pytest.raises(OptionError, match="needs a template with numbers below 0.*ccoeff_normed"):
        find(SCENE, [TEMPLATE], Search("scs", polarity="either"))
