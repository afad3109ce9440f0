from __future__ import annotations

import itertools
import os
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from scs.errors import OptionError, ShapeError
from scs.matching.methods import METHODS
from scs.matching.scores import DIRECT_PIXELS, score_map, score_maps

OPENCV = {
    "sqdiff": cv2.TM_SQDIFF,
    "sqdiff_normed": cv2.TM_SQDIFF_NORMED,
    "ccorr": cv2.TM_CCORR,
    "ccorr_normed": cv2.TM_CCORR_NORMED,
    "ccoeff": cv2.TM_CCOEFF,
    "ccoeff_normed": cv2.TM_CCOEFF_NORMED,
}
NORMALISED = [name for name, method in METHODS.items() if method.normalised]
SIZES = [(3, 4), (6, 6), (7, 6), (12, 9), (30, 25)]  # direct and spectral

CAMERA = data.camera()
COLOUR = data.astronaut()


def random(*shape):
    return np.random.default_rng(0).random(shape)


def oracle(scene, template, method, mask=None, p=2.0, q=0.0):
    """The definition in float64, patch by patch."""
    centred, kind, normalised = (getattr(METHODS[method], name) for name in ("centred", "kind", "normalised"))
    scene, template = (np.atleast_3d(np.asarray(pixels, np.float64)) for pixels in (scene, template))
    weights = np.ones(template.shape)
    if mask is not None:
        given = mask if mask.dtype.kind == "f" else mask != 0
        weights = np.broadcast_to(np.atleast_3d(given.astype(np.float64)), template.shape)

    def weigh(patches):
        if centred:
            totals = weights.sum((0, 1))
            sums = (patches * weights).sum((-3, -2))
            means = np.divide(sums, totals, out=np.zeros_like(sums), where=totals > 0)
            patches = patches - means[..., None, None, :]
        return patches * weights

    windows = np.lib.stride_tricks.sliding_window_view(scene, template.shape)[:, :, 0]
    patches, kernel = weigh(windows), weigh(template)
    dot = np.einsum("ijhwc,hwc->ij", patches, kernel)
    norms, norm = np.sqrt(np.square(patches).sum((2, 3, 4))), np.linalg.norm(kernel)
    flat = (norms <= 1e-7 * np.abs(scene).max()) | (norm <= 1e-7 * np.abs(template).max())
    if kind == "difference":
        differences = np.square(patches - kernel).sum((2, 3, 4))
        if not normalised:
            return differences
        return np.where(flat, 1, np.minimum(1, differences / np.where(flat, 1, norms * norm)))
    if not normalised:
        return dot
    if kind == "product":
        return np.where(flat, 0, dot / np.where(flat, 1, norms * norm))
    cosine = np.where(flat, 0, dot / np.where(flat, 1, (norms + q) * (norm + q)))
    return np.sign(cosine) * np.abs(cosine) ** p


def error(found, expected, method):
    spread = 1 if METHODS[method].normalised else np.abs(expected).max()
    return np.abs(found - expected).max() / spread


def scenes():
    grey = CAMERA[100:150, 200:260]
    yield "uint8", grey
    yield "colour", COLOUR[100:150, 100:160]
    yield "uint16", grey.astype(np.uint16) * 257
    yield "float32", grey.astype(np.float32) / 255
    yield "float64 far from zero", grey / 255 + 1000
    yield "features", np.random.default_rng(0).normal(size=(50, 60, 7)).astype(np.float32)
    yield "a dark sky beside a bright tower", np.where(np.arange(60) > 25, CAMERA[0:50, 0:60] // 64, grey)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("name", "scene"), list(scenes()), ids=[name for name, _ in scenes()])
def test_scores_equal_their_definition(name, scene, method):
    q = 0.3 if METHODS[method].kind == "similarity" else 0.0
    for height, width in SIZES:
        template = scene[9 : 9 + height, 11 : 11 + width]
        found = score_map(scene, template, method, q=q).scores
        assert found.dtype == np.float32
        assert error(found, oracle(scene, template, method, q=q), method) < 1e-5


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", SIZES)
def test_scores_under_a_mask_equal_their_definition(method, size):
    rng = np.random.default_rng(1)
    for scene, weights in itertools.product(
        (CAMERA[100:150, 200:260], COLOUR[100:150, 100:160], CAMERA[100:150, 200:260].astype(np.float32)),
        (rng.random(size) > 0.4, rng.random(size).astype(np.float32), np.eye(*size, dtype=np.uint8) * 255),
    ):
        template = scene[9 : 9 + size[0], 11 : 11 + size[1]]
        found = score_map(scene, template, method, mask=weights).scores
        assert error(found, oracle(scene, template, method, weights), method) < 1e-5


def test_every_channel_may_have_its_own_mask():
    scene = COLOUR[100:140, 100:150]
    template, weights = scene[5:17, 6:20], random(12, 14, 3)
    weights[..., 1] = 0
    for method in METHODS:
        found = score_map(scene, template, method, mask=weights).scores
        assert error(found, oracle(scene, template, method, weights), method) < 1e-5


@pytest.mark.parametrize("p", [0.5, 1.0, 2.0, 3.7])
def test_the_exponent_sharpens(p):
    scene = CAMERA[100:150, 200:260]
    for method in ("scs", "scs_centred"):
        found = score_map(scene, scene[3:20, 5:20], method, p=p, q=2.0).scores
        assert error(found, oracle(scene, scene[3:20, 5:20], method, p=p, q=2.0), method) < 1e-5


def agrees_with_opencv(scene, template, method, mask=None):
    """Within 1e-4 of the range; or, where OpenCV is further off, OpenCV is further from the definition than we are."""
    expected = cv2.matchTemplate(scene, template, OPENCV[method], mask=mask)
    if method == "sqdiff_normed":
        expected = np.minimum(expected, 1)  # as OpenCV's are without a mask
    found = score_map(scene, template, method, mask=mask).scores
    spread = 1 if METHODS[method].normalised else np.abs(expected).max()
    with np.errstate(invalid="ignore"):
        apart = ~(np.abs(found - expected) <= 1e-4 * spread)
    height, width = template.shape[:2]
    for row, column in np.argwhere(apart)[:: max(1, apart.sum() // 200)]:
        patch = scene[row : row + height, column : column + width]
        truth = oracle(patch, template, method, mask)[0, 0]
        assert abs(found[row, column] - truth) < 1e-5 * spread
    return apart.mean()


@pytest.mark.parametrize("method", OPENCV)
@pytest.mark.parametrize("scene", [CAMERA, COLOUR], ids=["grey", "colour"])
def test_scores_agree_with_opencv(method, scene):
    for height, width in ((6, 5), (50, 40)):
        template = scene[120 : 120 + height, 200 : 200 + width]
        assert agrees_with_opencv(scene, template, method) < 0.05


@pytest.mark.parametrize("method", OPENCV)
def test_scores_under_masks_agree_with_opencv(method):
    scene = COLOUR[:200, :200]
    template = scene[60:100, 70:100]
    for mask in (
        np.random.default_rng(0).integers(0, 2, (40, 30), dtype=np.uint8) * 255,
        random(40, 30).astype(np.float32),
        random(40, 30, 3).astype(np.float32),
    ):
        assert agrees_with_opencv(scene, template, method, mask) < 0.05


@pytest.mark.skipif("SCS_DATA" not in os.environ, reason="needs OpenCV's sample photographs in $SCS_DATA/opencv")
@pytest.mark.parametrize(
    "name", ["box_in_scene.png", "building.jpg", "butterfly.jpg", "cat.jpg", "fruits.jpg", "lena.jpg"]
)
@pytest.mark.parametrize("flag", [cv2.IMREAD_GRAYSCALE, cv2.IMREAD_COLOR], ids=["grey", "colour"])
def test_scores_agree_with_opencv_on_its_own_photographs(name, flag):
    scene = cv2.imread(str(Path(os.environ["SCS_DATA"], "opencv", name)), flag)
    rng = np.random.default_rng(0)
    for height, width in ((8, 8), (31, 40), (64, 64)):
        row, column = rng.integers(0, scene.shape[0] - height), rng.integers(0, scene.shape[1] - width)
        template = scene[row : row + height, column : column + width]
        masks = (rng.random((height, width)) > 0.3).astype(np.uint8), rng.random(template.shape).astype(np.float32)
        around = scene[max(0, row - 100) : row + 100, max(0, column - 100) : column + 100]
        for method in OPENCV:
            assert agrees_with_opencv(scene, template, method) < 0.3
            for mask in masks:
                assert agrees_with_opencv(around, template, method, mask) < 0.3


@pytest.mark.parametrize("method", NORMALISED)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), contrast=st.sampled_from([0, 1, 3, 255]))
def test_normalised_scores_stay_within_their_range_whatever_the_scene(method, seed, contrast):
    rng = np.random.default_rng(seed)
    scene = rng.integers(0, contrast + 1, (24, 31)).astype(np.uint8) + np.uint8(rng.integers(0, 256 - contrast))
    scene[:, 15:] = rng.integers(0, 256)
    height, width = rng.integers(1, 20, 2)
    template = scene[3 : 3 + height, rng.integers(0, 10) :][:, :width]
    scores = score_map(scene, template, method).scores
    assert np.isfinite(scores).all()
    assert scores.min() >= (0 if method == "sqdiff_normed" else -1)
    assert scores.max() <= 1


@pytest.mark.parametrize("method", NORMALISED)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("size", [(5, 5), (20, 20)])
def test_a_flat_template_matches_nothing(method, dtype, size):
    centred = METHODS[method].centred
    template = np.full(size, 77 if centred else 0, dtype)
    found = score_map(CAMERA[:60, :80].astype(dtype), template, method)
    assert (found.scores == (1 if method == "sqdiff_normed" else 0)).all()
    assert found.flat == 1


@pytest.mark.parametrize("method", NORMALISED)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("size", [(5, 5), (20, 20)])
def test_a_flat_patch_is_never_a_match_and_is_counted(method, dtype, size):
    scene = CAMERA[100:160, 200:280].astype(dtype)
    scene[:, 40:] = 128 if METHODS[method].centred else 0
    found = score_map(scene, scene[10 : 10 + size[0], 5 : 5 + size[1]], method)
    assert (found.scores[:, 40:] == (1 if method == "sqdiff_normed" else 0)).all()
    assert found.flat == pytest.approx((80 - size[1] + 1 - 40) / (80 - size[1] + 1))


def test_a_constant_of_floating_point_is_flat_though_its_sums_round():
    scene = np.full((300, 300), 0.1, np.float32)
    scene[:, :20] = random(300, 20)
    found = score_map(scene, scene[:30, :20], "ccoeff_normed")
    assert (found.scores[:, 20:] == 0).all()


def test_a_match_scores_one_and_its_inverse_minus_one():
    scene = CAMERA[100:200, 200:300].astype(np.float32)
    template = scene[40:60, 30:55]
    for method in ("ccoeff_normed", "scs_centred"):
        assert score_map(scene, template, method).scores[40, 30] == pytest.approx(1, abs=1e-6)
        assert score_map(255 - scene, template, method).scores[40, 30] == pytest.approx(-1, abs=1e-6)


def test_a_bright_mismatch_does_not_outshout_a_faint_match():
    rng = np.random.default_rng(0)
    pattern = rng.integers(0, 256, (16, 16))
    scene = rng.integers(0, 4, (200, 200))
    scene[20:36, 30:46] += pattern // 32
    scene[100:180, 100:180] = 255 * rng.integers(0, 2, (80, 80))
    scene = scene.astype(np.uint8)
    best = {name: np.unravel_index(score_map(scene, pattern.astype(np.uint8), name).scores.argmax(), (185, 185))
            for name in ("ccorr", "ccoeff_normed", "scs_centred")}  # fmt: skip
    assert best["ccoeff_normed"] == best["scs_centred"] == (20, 30)
    assert best["ccorr"] != (20, 30)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_pixels_of_any_magnitude_give_finite_scores(method, scale):
    scene = (CAMERA[100:150, 200:260] * scale).astype(np.float32)
    found = score_map(scene, scene[5:25, 5:25], method).scores
    assert np.isfinite(found).all()
    if METHODS[method].normalised:
        assert error(found, oracle(scene / scale, scene[5:25, 5:25] / scale, method), method) < 1e-5


def test_a_motif_is_found_in_a_long_series():
    rng = np.random.default_rng(0)
    motif = np.cumsum(rng.normal(size=200))
    series = 50 * rng.normal(size=100_000)
    series[70_123:70_323] = 0.2 * motif
    found = score_map(series, motif, "ccoeff_normed")
    assert found.scores.shape == (100_000 - 200 + 1,)
    assert found.scores.argmax() == 70_123
    assert found.scores[70_123] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("shape", [((1, 40), (1, 9)), ((40, 1), (9, 1)), ((9, 9), (9, 9)), ((1, 1), (1, 1))])
def test_the_narrowest_scenes_have_scores(shape):
    scene = random(*shape[0])
    template = scene[-shape[1][0] :, -shape[1][1] :]
    found = score_map(scene, template, "ccorr_normed").scores
    assert error(found, oracle(scene, template, "ccorr_normed"), "ccorr_normed") < 1e-5
    assert found[-1, -1] == pytest.approx(1)


def test_a_view_of_a_picture_is_as_good_as_a_copy():
    view = COLOUR[::2, ::-2, ::-1]
    template = view[30:60, 40:60]
    np.testing.assert_array_equal(score_map(view, template).scores, score_map(view.copy(), template.copy()).scores)


def test_one_thread_and_several_give_the_same_scores():
    scene = np.tile(CAMERA, (2, 2))
    one, two = (score_map(scene, scene[30:94, 40:104], threads=threads).scores for threads in (1, 2))
    np.testing.assert_allclose(one, two, atol=1e-5)


def test_a_bank_gives_what_each_template_gives_alone():
    scene = CAMERA[:300, :300]
    templates = [scene[i : i + 20, 3 * i : 3 * i + 30] for i in range(0, 90, 10)] + [scene[5:45, 5:25]]
    masks = [None] * 4 + [random(20, 30)] * 2 + [None] * 4
    maps = list(score_maps(scene, templates, "scs_centred", masks=masks))
    assert len(maps) == len(templates)
    for found, template, mask in zip(maps, templates, masks, strict=True):
        np.testing.assert_allclose(found.scores, score_map(scene, template, "scs_centred", mask=mask).scores, atol=1e-5)


def test_a_large_bank_takes_the_memory_of_a_few_templates():
    scene = CAMERA

    def peak_bytes(count):
        templates = [scene[i % 400 : i % 400 + 32, i % 399 : i % 399 + 32] for i in range(count)]
        tracemalloc.start()
        best = [float(found.scores.max()) for found in score_maps(scene, templates, threads=1)]
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert np.allclose(best, 1, atol=1e-5)
        return most

    assert peak_bytes(300) < 1.5 * peak_bytes(128)


@pytest.mark.parametrize(
    ("scene", "template", "message"),
    [
        ((64, 64), (80, 40), "template is 40x80 but scene is 64x64"),
        ((64, 64, 3), (8, 8), "template has 1 channels but scene has 3"),
        ((4, 4, 4, 4), (2, 2), r"a scene is .* but \(4, 4, 4, 4\) came"),
        ((0, 4), (2, 2), "at least one pixel"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(scene, template, message):
    with pytest.raises(ShapeError, match=message):
        score_map(np.zeros(scene, np.uint8), np.zeros(template, np.uint8))


def test_what_is_not_a_picture_a_mask_or_an_option_is_refused():
    scene = random(20, 20)
    template = scene[:5, :5]
    with pytest.raises(OptionError, match=r"finite numbers but 2 are not"):
        score_map(np.where(scene == scene[0, 0], np.nan, np.where(scene == scene[1, 1], np.inf, scene)), template)
    with pytest.raises(OptionError, match="holds integers or floating-point numbers but this one holds complex128"):
        score_map(scene.astype(complex), template)
    with pytest.raises(OptionError, match="no method 'zncc'; there are: sqdiff, .*scs_centred"):
        score_map(scene, template, "zncc")
    with pytest.raises(ShapeError, match=r"a mask has its template's size, \(5, 5, 1\) here"):
        score_map(scene, template, mask=np.ones((4, 5)))
    with pytest.raises(OptionError, match="weights of 0 or more"):
        score_map(scene, template, mask=-np.ones((5, 5)))
    for p in (0, -1, np.nan, np.inf):
        with pytest.raises(OptionError, match="p is a number above 0"):
            score_map(scene, template, "scs", p=p)
    for q in (-1, np.nan):
        with pytest.raises(OptionError, match="q is a number of 0 or more"):
            score_map(scene, template, "scs", q=q)


def test_a_bank_is_checked_before_its_first_map_is_asked_for():
    with pytest.raises(ShapeError):
        score_maps(random(20, 20), [random(5, 5), random(30, 5)])


def test_small_and_large_kernels_take_different_ways_to_the_same_scores():
    scene = CAMERA[:100, :100]
    side = int(DIRECT_PIXELS**0.5)
    for size in (side, side + 1):
        template = scene[20 : 20 + size, 30 : 30 + size]
        assert (
            error(score_map(scene, template).scores, oracle(scene, template, "ccoeff_normed"), "ccoeff_normed") < 1e-5
        )
