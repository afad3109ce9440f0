import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from skimage import data

from scs.errors import OptionError
from scs.matching.peaks import Peak, find_peaks
from scs.matching.scores import score_map
from scs.matching.surprise import judge

maps = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=24), elements=st.floats(-1, 1, width=32))
steps = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=24), elements=st.sampled_from([-1, 0, 0.5, 1]))


def zncc(scene, template):
    return cv2.matchTemplate(scene, template, cv2.TM_CCOEFF_NORMED)


def chance_scores(rng, spread=0.15, shape=(80, 80)):
    """Scores as unrelated windows have them: normal after Fisher's transform."""
    return np.tanh(spread * rng.standard_normal(shape)).astype(np.float32)


def judged(scores, window, top=1, **options):
    return judge(scores, find_peaks(scores, window, top, subpixel=False), window, **options)


def seen_again(picture, rng, noise=8.0):
    """As another camera sees it: brighter, softer and noisier."""
    soft = cv2.GaussianBlur(picture, (0, 0), 0.8).astype(np.float64)
    return (0.8 * soft + 30 + noise * rng.standard_normal(picture.shape)).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(("row", "column"), [(90, 200), (150, 240), (250, 330), (300, 250)])
def test_a_template_that_is_there_is_present_and_one_from_elsewhere_is_absent(row, column):
    rng = np.random.default_rng(0)
    here, elsewhere = data.camera(), cv2.cvtColor(data.chelsea(), cv2.COLOR_RGB2GRAY)
    template = seen_again(here, rng)[row : row + 48, column : column + 48]
    (found,) = judged(zncc(here, template), (48, 48))
    (imagined,) = judged(zncc(elsewhere, template), (48, 48))

    assert found.present and found.chance < 1e-4
    assert imagined.present is False and imagined.chance > 0.02
    assert found.psr > imagined.psr > 0


def test_chances_come_true_no_more_often_than_they_say():
    rng = np.random.default_rng(0)
    chances = np.array([judged(chance_scores(rng), (8, 8))[0].chance for _ in range(400)])
    for level in (0.5, 0.1, 0.05, 0.01):
        assert (chances < level).mean() <= level
    assert (chances < 0.5).mean() > 0.1  # nor is everything called certain


def test_a_level_of_one_in_two_accepts_more_than_one_in_a_hundred():
    scores = chance_scores(np.random.default_rng(3))
    scores[40, 40] = 0.75
    chance = judged(scores, (8, 8))[0].chance
    assert [judged(scores, (8, 8), level=level)[0].present for level in (chance / 2, chance * 2)] == [False, True]


@pytest.mark.parametrize("copies", [1, 2, 5, 10])
def test_other_instances_do_not_make_each_other_less_surprising(copies):
    rng = np.random.default_rng(0)
    scores = chance_scores(rng)
    places = [(8 + 16 * (i // 4), 8 + 16 * (i % 4)) for i in range(copies)]
    for row, column in places:
        scores[row, column] = rng.uniform(0.93, 0.97)
    surprises = judged(scores, (8, 8), copies + 3)

    assert [one.present for one in surprises] == [True] * copies + [False] * 3


def test_a_peak_is_more_surprising_the_higher_it_is():
    scores = chance_scores(np.random.default_rng(0))
    surprises = judge(scores, [Peak(5, 5, score) for score in (-0.5, 0.6, 0.7, 0.8, 0.9, 1.0)], (8, 8))
    chances = [one.chance for one in surprises]
    assert chances == sorted(chances, reverse=True)
    assert chances[0] == pytest.approx(1)
    assert 0 < chances[-1] < 1e-6
    assert [one.psr for one in surprises] == sorted(one.psr for one in surprises)


def test_a_larger_scene_has_more_room_for_accidents():
    rng = np.random.default_rng(0)
    scores = chance_scores(rng, shape=(400, 400))
    peak = [Peak(5, 5, 0.75)]
    small, large = (judge(part, peak, (8, 8))[0].chance for part in (scores[:60, :60], scores))
    assert small < large


def test_a_search_of_many_poses_has_as_many_chances():
    scores = chance_scores(np.random.default_rng(0))
    scores[40, 40] = 0.8
    one, many = (judged(scores, (8, 8), trials=trials)[0].chance for trials in (1, 100))
    assert many == pytest.approx(100 * one, rel=0.1)


@pytest.mark.parametrize("p", [1.0, 2.0, 5.0])
def test_sharpening_the_scores_does_not_change_the_chance(p):
    scores = chance_scores(np.random.default_rng(0))
    scores[40, 40] = 0.8
    sharp = np.copysign(np.abs(scores) ** p, scores)
    assert judged(sharp, (8, 8), p=p)[0].chance == pytest.approx(judged(scores, (8, 8))[0].chance, rel=1e-3)


def test_the_ratio_is_that_of_the_peak_to_what_lies_outside_the_windows():
    scores = chance_scores(np.random.default_rng(0))
    peaks = [Peak(40, 30, 0.9), Peak(0, 79, 0.8)]
    outside = scores.astype(np.float64)
    outside[36:45, 27:34] = outside[:5, 76:] = np.nan
    expected = (0.9 - np.nanmean(outside)) / np.nanstd(outside)
    assert judge(scores, peaks, (8, 6))[0].psr == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (1, 40), (60, 60)])
def test_where_there_is_nothing_to_compare_with_no_judgement_is_made(shape):
    scores = np.zeros(shape, np.float32)
    (surprise,) = judge(scores, [Peak(0, 0, 1.0)], (16, 16))
    assert surprise.chance is None and surprise.present is None and surprise.psr is None


@given(maps | steps, st.tuples(st.integers(1, 9), st.integers(1, 9)), st.integers(1, 1000))
def test_every_judgement_is_a_number_or_none(scores, window, trials):
    for one in judged(scores, window, 3, trials=trials):
        assert one.psr is None or np.isfinite(one.psr)
        assert one.chance is None or 0 < one.chance <= 1
        assert (one.present is None) == (one.chance is None)


def test_scores_that_are_no_cosines_are_refused_with_their_range():
    with pytest.raises(OptionError, match=r"within \[-1, 1\]; -3 to 20 came"):
        judge(np.float32([[-3, 20]]), [], (1, 1))


@pytest.mark.parametrize("copies", [3, 20, 32, 64, 150])
def test_any_number_of_copies_is_present(copies):
    rng = np.random.default_rng(0)
    scene = cv2.GaussianBlur(rng.integers(0, 256, (900, 900)).astype(np.float32), (0, 0), 2)
    template = cv2.GaussianBlur(rng.integers(0, 256, (40, 40)).astype(np.float32), (0, 0), 2)
    for place in range(copies):
        row, column = 60 * (place // 14) + 10, 60 * (place % 14) + 10
        scene[row : row + 40, column : column + 40] = template + rng.normal(0, 1, (40, 40))
    scores = score_map(scene, template).scores
    peaks = find_peaks(scores, (40, 40), copies + 5)
    assert sum(surprise.present for surprise in judge(scores, peaks, (40, 40))) == copies
