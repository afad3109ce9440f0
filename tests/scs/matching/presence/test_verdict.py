import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from skimage import data

from scs.errors import OptionError
from scs.matching.peaks import Peak, find_peaks
from scs.matching.presence.explained import Explained
from scs.matching.presence.looking import Looking
from scs.matching.presence.verdict import judge
from scs.matching.scores import score_map

maps = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=24), elements=st.floats(-1, 1, width=32))


def judged(scene, template, top=1):
    scores, size = score_map(scene, template).scores, template.shape[:2]
    return judge(scores, find_peaks(scores, size, top), size, Looking(scene, template, None))


def seen_again(picture, rng, noise=8.0):
    """As another camera sees it: brighter, softer and noisier."""
    soft = cv2.GaussianBlur(picture, (0, 0), 0.8).astype(np.float64)
    return (0.8 * soft + 30 + noise * rng.standard_normal(picture.shape)).clip(0, 255).astype(np.uint8)


def glyphs(rng, shape, size, count):
    """Random glyphs on a grid, and what they are drawn of."""
    scene = np.full(shape, 240, np.uint8)
    for row in range(4, shape[0] - size, size + 4):
        for column in range(4, shape[1] - size, size + 4):
            glyph = 40 + 200 * rng.integers(0, 2, (size // 4, size // 4))
            scene[row : row + size, column : column + size] = np.kron(glyph, np.ones((4, 4)))
    return scene


@pytest.mark.parametrize(("row", "column"), [(90, 200), (150, 240), (300, 250)])
def test_a_template_that_is_there_is_present_and_one_from_elsewhere_is_absent(row, column):
    rng = np.random.default_rng(0)
    here, elsewhere = data.camera(), cv2.cvtColor(data.chelsea(), cv2.COLOR_RGB2GRAY)
    template = seen_again(here, rng)[row : row + 48, column : column + 48]
    (found,), (imagined,) = judged(here, template), judged(elsewhere, template)
    assert found.present and not imagined.present
    assert found.psr > imagined.psr > 0
    assert found.explained > imagined.explained


@pytest.mark.parametrize("copies", [1, 3, 20, 60])
def test_copies_do_not_hide_each_other(copies):
    rng = np.random.default_rng(copies)
    scene = glyphs(rng, (260, 260), 20, 0)
    template = np.kron(40 + 200 * rng.integers(0, 2, (5, 5)), np.ones((4, 4))).astype(np.uint8)
    places = [(4 + 24 * (i // 10), 4 + 24 * (i % 10)) for i in rng.permutation(100)[:copies]]
    for row, column in places:
        scene[row : row + 20, column : column + 20] = template
    verdicts = judged(seen_again(scene, rng, 4.0), template, copies + 3)
    assert [one.present for one in verdicts] == [True] * copies + [False] * 3


def test_many_equal_rivals_are_no_copies():
    rng = np.random.default_rng(1)
    other, template = (np.kron(40 + 200 * rng.integers(0, 2, (5, 5)), np.ones((4, 4))).astype(np.uint8) for _ in "ab")
    scene = np.full((260, 260), 240, np.uint8)
    for row in range(4, 230, 24):
        for column in range(4, 230, 24):
            scene[row : row + 20, column : column + 20] = other
    assert not any(one.present for one in judged(scene, template, 8))


def test_a_rival_is_the_best_score_that_is_no_copy():
    rng = np.random.default_rng(0)
    scene = glyphs(rng, (200, 200), 20, 0)
    template = scene[28:48, 52:72].copy()
    scene[100:120, 100:120] = template
    first, second = judged(scene, template, 2)
    scores = sorted((peak.score for peak in find_peaks(score_map(scene, template).scores, (20, 20), 5)), reverse=True)
    assert first.rival == second.rival == pytest.approx(scores[2])


def test_faint_copies_in_noise_are_present():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-15:16, -15:16]
    ring = np.exp(-((np.hypot(x, y) - 9) ** 2) / 8)
    scene = np.zeros((300, 300))
    for row, column in [(20, 30), (120, 200), (200, 60)]:
        scene[row : row + 31, column : column + 31] += ring
    scene += 0.7 * rng.standard_normal(scene.shape)
    verdicts = judged(scene.astype(np.float32), ring.astype(np.float32), 6)
    assert [one.present for one in verdicts] == [True] * 3 + [False] * 3


def test_one_that_differs_like_no_copy_needs_less_evidence_beside_others_if_it_is_far_from_what_is_none():
    scores = np.zeros((60, 60), np.float32)
    places = [(10, 10 * i) for i in range(1, 6)] + [(40, 10 * i) for i in range(1, 4)]
    peaks = [Peak(row, column, 0.9 - 0.01 * number) for number, (row, column) in enumerate(places)]
    for peak in peaks:
        scores[peak.row, peak.column] = peak.score
    copy, bent, other = (
        Explained(0.95, 0.97, 0.1, 0.1, 0.2),
        Explained(0.93, 0.95, 0.2, 0.15, 1.2),
        Explained(0.5, 0.5, 0.5, 0.9, 0),
    )

    def present(copies):
        known = [copy] * copies + [bent] + [other] * (len(peaks) - copies - 1)
        return [one.present for one in judge(scores, peaks, (5, 5), lambda some: [other] * len(some), explained=known)]

    assert not present(0)[0] and not present(1)[1] and not present(2)[2]
    assert present(4)[:5] == [True] * 5 and not any(present(4)[5:])


def test_without_pixels_to_look_at_the_ranking_decides():
    rng = np.random.default_rng(0)
    scores = np.tanh(0.15 * rng.standard_normal((80, 80))).astype(np.float32)
    peaks = find_peaks(scores, (8, 8), 1, subpixel=False)
    assert not judge(scores, peaks, (8, 8))[0].present
    scores[40, 40] = 0.97
    told = judge(scores, find_peaks(scores, (8, 8), 1, subpixel=False), (8, 8))[0]
    assert told.present and told.explained is None


@settings(deadline=None)
@given(maps)
def test_whatever_the_map_a_verdict_is_finite(scores):
    peaks = find_peaks(scores, (3, 3), 3, threshold=-2, subpixel=False)
    for look in (None, lambda some: [Explained(max(one.score, 0), max(one.score, 0), 0.1, 0.2, 0.3) for one in some]):
        assert all(np.isfinite(one.evidence) for one in judge(scores, peaks, (3, 3), look))


def test_scores_beyond_one_have_no_angle():
    with pytest.raises(OptionError, match=r"a verdict is on scores within \[-1, 1\]"):
        judge(np.full((4, 4), 3.0), [Peak(0, 0, 3.0)], (2, 2))
