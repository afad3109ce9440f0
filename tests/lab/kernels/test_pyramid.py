import cv2
import numpy as np
import pytest
import skimage.data

from lab.kernels.pyramid import pyramid_scores, scaled_copy
from scs.errors import OptionError, ShapeError
from scs.matching.scores import score_map

SCALES = (0.5, 0.7, 1.0, 1.4, 2.0)


@pytest.fixture(scope="module")
def camera():
    return skimage.data.camera()


def cosine(scene, template):
    return score_map(scene, template).scores


def scaled_scene(scene, scale):
    """Scale a photograph about its corner."""
    matrix = np.array([[scale, 0, (scale - 1) / 2], [0, scale, (scale - 1) / 2]])
    size = (int(scene.shape[1] * scale), int(scene.shape[0] * scale))
    return cv2.warpAffine(scene, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)


@pytest.mark.parametrize("scale", SCALES)
def test_a_scaled_template_is_found_at_its_scale(camera, scale):
    template = camera[100:140, 200:231]
    found = pyramid_scores(scaled_scene(camera[60:300, 100:400], scale), template, SCALES, cosine)
    row, column = np.unravel_index(found.scores.argmax(), found.scores.shape)
    assert found.scales[row, column] == scale
    assert column + found.window[1] / 2 == pytest.approx(scale * (100 + 31 / 2), abs=1)
    assert row + found.window[0] / 2 == pytest.approx(scale * (40 + 40 / 2), abs=1)


def test_every_place_has_the_best_of_the_scores_of_the_copies_centred_there(camera):
    scene, template = camera[:60, :70], camera[10:30, 20:41]
    found = pyramid_scores(scene, template, SCALES, cosine)
    assert found.window == (10, 9)
    best = np.full(found.scores.shape, -np.inf, np.float32)
    for scale in SCALES:
        copy = scaled_copy(template, scale)
        scores = cosine(scene[..., None].astype(float), copy)
        for row, column in np.ndindex(*scores.shape):
            centre = (row + (copy.shape[0] - 10) // 2, column + (copy.shape[1] - 9) // 2)
            best[centre] = max(best[centre], scores[row, column])
    np.testing.assert_array_equal(found.scores, best)


def test_copies_are_odd_where_the_template_is_and_lie_inside_the_scaled_template():
    template = np.zeros((21, 32, 7))
    for scale in np.linspace(0.2, 3, 57):
        height, width, channels = scaled_copy(template, scale).shape
        assert (height % 2, width % 2, channels) == (1, 0, 7)
        assert scale * 21 - 2 < height <= scale * 21 + 1e-6
        assert scale * 32 - 2 < width <= scale * 32 + 1e-6


def test_a_copy_at_scale_one_is_the_template(camera):
    np.testing.assert_allclose(scaled_copy(camera[:20, :30] / 999, 1)[..., 0], camera[:20, :30] / 999, atol=1e-6)


def test_a_shrunken_copy_does_not_alias():
    stripes = np.tile([0.0, 0.0, 1.0, 1.0], (64, 16))
    assert np.ptp(scaled_copy(stripes, 0.25)) < 0.2


def test_scales_that_do_not_fit_are_passed_over(camera):
    found = pyramid_scores(camera[:50, :50], camera[:40, :40], SCALES, cosine)
    assert found.scores.shape == (31, 31)
    assert found.scales.max() == 1


def test_a_smallest_copy_that_does_not_fit_is_refused(camera):
    with pytest.raises(ShapeError, match="template is 20x20 but scene is 10x10"):
        pyramid_scores(camera[:10, :10], camera[:40, :40], SCALES, cosine)


def test_scales_that_make_no_sense_are_refused(camera):
    with pytest.raises(OptionError, match="at least one scale"):
        pyramid_scores(camera, camera[:9, :9], [], cosine)
    for scale in (0, -1, 0.05, float("nan")):
        with pytest.raises(OptionError, match="leaves at least a pixel"):
            scaled_copy(camera[:9, :8], scale)
