import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from skimage import data

from scs.errors import OptionError, ShapeError
from scs.matching.peaks import Field, Peak, find_peaks

maps = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.floats(-1, 1, width=32))
# Few levels: plateaus and ties.
steps = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.sampled_from([-1, 0, 0.5, 1]))


def overlap(a, b, window):
    """Intersection over union of two windows."""
    height, width = window
    shared = max(0, height - abs(a.row - b.row)) * max(0, width - abs(a.column - b.column))
    return shared / (2 * height * width - shared)


def oracle(scores, window, top, threshold, most):
    """Every local maximum in turn, best first, kept where it overlaps none that was kept before."""
    places = [Peak(row, column, float(scores[row, column])) for row, column in np.ndindex(*scores.shape)]
    kept = []
    for place in sorted(places, key=lambda place: -place.score):
        row, column = place.row, place.column
        around = scores[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
        apart = all(overlap(place, one, window) <= most for one in kept)
        if place.score > threshold and place.score == around.max() and len(kept) < top and apart:
            kept.append(place)
    return kept


def scores_with(*peaks, shape=(20, 30)):
    scores = np.full(shape, -0.5, np.float32)
    for row, column, score in peaks:
        scores[row, column] = score
    return scores


def places(peaks):
    return [(round(peak.row), round(peak.column)) for peak in peaks]


def test_peaks_come_best_first():
    scores = scores_with((2, 3, 0.5), (10, 25, 0.9), (17, 8, 0.7))
    peaks = find_peaks(scores, (3, 3), 5)
    assert places(peaks) == [(10, 25), (17, 8), (2, 3)]
    assert [peak.score for peak in peaks] == pytest.approx([0.9, 0.7, 0.5])


def test_no_more_peaks_are_named_than_were_asked_for():
    noise = np.random.default_rng(0).random((60, 60), np.float32)
    assert len(find_peaks(noise, (2, 2), 7)) == 7
    assert find_peaks(noise, (2, 2), 0) == []


def test_windows_beside_a_better_one_are_not_named_again():
    scores = scores_with((10, 10, 0.9), (12, 10, 0.8), (10, 12, 0.7), (10, 18, 0.6))
    assert places(find_peaks(scores, (8, 8), 5)) == [(10, 10), (10, 18)]


def test_the_slope_of_a_peak_is_no_peak_however_far_it_reaches():
    rows, columns = np.mgrid[:60, :60]
    hill = np.exp(-np.hypot(rows - 20, columns - 30) / 20).astype(np.float32)
    assert places(find_peaks(hill, (4, 4), 5)) == [(20, 30)]


@pytest.mark.parametrize("corner", [(0, 0), (0, 29), (19, 0), (19, 29), (7, 0)])
def test_a_peak_may_lie_on_the_rim_and_stays_within_the_map(corner):
    (peak,) = find_peaks(scores_with((*corner, 0.9)), (4, 4), 5)
    assert [peak.row, peak.column] == pytest.approx(corner, abs=1e-6)


def test_windows_that_only_touch_are_both_named():
    scores = scores_with((4, 4, 0.9), (4, 12, 0.8), (12, 4, 0.7))
    assert len(find_peaks(scores, (8, 8), 5, overlap=0)) == 3


def test_scores_at_the_threshold_or_below_are_no_peaks():
    assert find_peaks(np.zeros((4, 4), np.float32), (2, 2), 5) == []
    assert find_peaks(np.full((4, 4), -1, np.float32), (2, 2), 5) == []
    scores = scores_with((2, 3, 0.5), (10, 25, 0.75))
    assert places(find_peaks(scores, (3, 3), 5, threshold=0.5)) == [(10, 25)]


def test_where_lower_is_better_the_map_and_the_limit_are_negated():
    distances = 10 + scores_with((2, 3, -6), (10, 25, -9))
    assert places(find_peaks(-distances, (3, 3), 5, threshold=-2)) == [(10, 25)]


def test_the_map_is_left_as_it_was():
    scores = scores_with((2, 3, 0.5))
    before = scores.copy()
    find_peaks(scores, (5, 5), 5)
    assert np.array_equal(scores, before)


def test_many_peaks_on_plateaus_are_named_in_reading_order():
    peaks = find_peaks(np.ones((300, 400), np.float32), (8, 8), 1000, overlap=0)
    assert len(peaks) == 1000
    assert [(peak.row, peak.column) for peak in peaks[:2]] == [(0, 0), (0, 8)]
    assert [(peak.row, peak.column) for peak in peaks[-2:]] == [(152, 384), (152, 392)]


@given(
    maps | steps,
    st.tuples(st.integers(1, 15), st.integers(1, 15)),
    st.integers(0, 6),
    st.sampled_from([-2, 0, 0.5]),
    st.sampled_from([0, 0.3, 0.9, 1]),
)
def test_peaks_are_those_of_going_through_every_place(scores, window, top, threshold, most):
    found = find_peaks(scores, window, top, threshold=threshold, overlap=most, subpixel=False)
    assert found == oracle(scores, window, top, threshold, most)


@given(maps | steps, st.floats(0.5, 7))
def test_a_peak_is_refined_by_a_place_at_most_and_keeps_its_score(scores, p):
    coarse = find_peaks(scores, (2, 2), 9, subpixel=False)
    fine = find_peaks(scores, (2, 2), 9, p=p)
    assert [peak.score for peak in fine] == [peak.score for peak in coarse]
    for a, b in zip(fine, coarse, strict=True):
        assert abs(a.row - b.row) <= 1 and abs(a.column - b.column) <= 1
        assert 0 <= a.row <= scores.shape[0] - 1 and 0 <= a.column <= scores.shape[1] - 1


def moved(picture, down, right):
    """A picture moved by parts of a pixel: its spectrum turned, exactly."""
    rows, columns = (np.fft.fftfreq(length) for length in picture.shape)
    turn = np.exp(-2j * np.pi * (rows[:, None] * down + columns * right))
    return np.fft.ifft2(np.fft.fft2(picture) * turn).real.astype(np.float32)


def zncc(scene, template):
    return cv2.matchTemplate(scene, template, cv2.TM_CCOEFF_NORMED)


def centred_similarity(scene, template):
    return np.copysign(zncc(scene, template) ** 2, zncc(scene, template))


METHODS = {
    "zncc": (zncc, 1),
    "scs": (lambda scene, template: cv2.matchTemplate(scene, template, cv2.TM_CCORR_NORMED) ** 2, 2),
    "scs_centred": (centred_similarity, 2),
    "sqdiff": (lambda scene, template: -cv2.matchTemplate(scene, template, cv2.TM_SQDIFF), 1),
    "sqdiff_normed": (lambda scene, template: -cv2.matchTemplate(scene, template, cv2.TM_SQDIFF_NORMED), 1),
}
# Corners of things, in sharp and soft photographs: an edge alone says nothing of where along it one is.
SHIFTED = [("camera", 90, 200), ("camera", 150, 240), ("coins", 40, 100), ("coins", 180, 240), ("moon", 300, 250)]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("name", "row", "column"), SHIFTED)
def test_a_shift_by_parts_of_a_pixel_is_found_to_a_twentieth(method, name, row, column):
    picture = getattr(data, name)().astype(np.float32)
    template = picture[row : row + 48, column : column + 48]
    score, p = METHODS[method]
    for down, right in [(0, 0), (0.25, -0.4), (0.5, 0.1), (-0.3, 0.3), (0.12, -0.25), (-0.45, -0.45)]:
        scene = moved(picture, down, right)[row - 30 : row + 78, column - 30 : column + 78]
        (peak,) = find_peaks(score(scene, template), (48, 48), 1, threshold=-np.inf, p=p)
        assert [peak.row, peak.column] == pytest.approx([30 + down, 30 + right], abs=0.05)


def test_a_map_that_is_none_is_refused_with_its_shape():
    with pytest.raises(ShapeError, match=r"a map \(H, W\) with at least one score; \(5,\) came"):
        find_peaks(np.zeros(5, np.float32), (1, 1), 1)
    with pytest.raises(ShapeError, match=r"\(0, 4\) came"):
        find_peaks(np.zeros((0, 4), np.float32), (1, 1), 1)


def test_an_overlap_that_is_no_share_is_refused():
    with pytest.raises(OptionError, match=r"a share, 0 to 1; 30 came"):
        find_peaks(np.zeros((4, 4), np.float32), (1, 1), 1, overlap=30)


@pytest.mark.parametrize("shape", [(40, 60), (1, 90), (7, 3)])
def test_the_sidelobe_is_of_what_lies_outside_the_windows_around_peaks(shape):
    scores = np.random.default_rng(5).random(shape, np.float32)
    rows, columns = np.indices(shape)
    peaks = [Peak(0.4, 2.6, 1.0), Peak(shape[0] - 1, shape[1] // 2, 1.0)]
    inside = [(abs(rows - round(p.row)) <= 3) & (abs(columns - round(p.column)) <= 2) for p in peaks]
    left = scores[~np.logical_or.reduce(inside)]
    expected = (left.mean(), left.std()) if left.size else (0.0, 0.0)
    assert Field(scores).sidelobe(peaks, (6, 5)) == pytest.approx(expected, abs=1e-6)
