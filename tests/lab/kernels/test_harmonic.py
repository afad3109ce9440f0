import cv2
import numpy as np
import pytest
import skimage.data

from lab.kernels.discs import disc_weights
from lab.kernels.harmonic import circular_harmonics, harmonic_scores
from scs.errors import OptionError, ShapeError

SIDE = 48
ROW, COLUMN = 90, 208  # of the template in the photograph
ANGLES = (-163.0, -120.5, -77.0, -20.0, 7.3, 33.0, 45.0, 90.0, 111.0, 179.0)


@pytest.fixture(scope="module")
def camera():
    return skimage.data.camera()[50:180, 168:298]


@pytest.fixture(scope="module")
def template(camera):
    return camera[ROW - 50 :, COLUMN - 168 :][:SIDE, :SIDE]


def turned(scene, angle):
    """Turn a scene about the middle of the template, which stays where it is."""
    centre = (COLUMN - 168 + (SIDE - 1) / 2, ROW - 50 + (SIDE - 1) / 2)
    matrix = cv2.getRotationMatrix2D(centre, angle, 1)
    return cv2.warpAffine(scene, matrix, scene.shape[1::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)


def in_disc(template):
    """The template's disc without its mean, as (h, w, C)."""
    planes = template.reshape(*template.shape[:2], -1).astype(float)
    weights = disc_weights(*template.shape[:2])[..., None]
    return weights * (planes - (weights * planes).sum((0, 1)) / weights.sum())


def share_of_energy(template, orders):
    harmonics = circular_harmonics(template, orders)
    gains = np.where(np.array(orders) == 0, 1, 2)
    return gains @ np.square(np.abs(harmonics)).sum((1, 2, 3)) / np.square(in_disc(template)).sum()


def test_all_orders_together_are_the_template(template):
    smooth = cv2.GaussianBlur(template / 255, (0, 0), 1.5)
    harmonics = circular_harmonics(smooth, range(60))
    whole = harmonics[0].real + 2 * harmonics[1:].real.sum(0)
    assert np.linalg.norm(whole - in_disc(smooth)) < 0.02 * np.linalg.norm(in_disc(smooth))


@pytest.mark.parametrize("order", [0, 1, 2, 3, 7])
def test_a_quarter_turn_changes_an_order_in_phase_alone(template, order):
    upright = circular_harmonics(template, [order])[0]
    lying = circular_harmonics(np.rot90(template), [order])[0]
    np.testing.assert_allclose(lying, np.rot90(upright), atol=1e-6 * np.abs(upright).max() + 1e-9)
    there = np.rot90(upright)
    phase = np.vdot(upright, there) / np.linalg.norm(upright) ** 2
    assert phase == pytest.approx(np.exp(-1j * order * np.pi / 2), abs=1e-6)


def test_no_order_answers_to_brightness(template):
    sums = circular_harmonics(template, range(10)).sum((1, 2, 3))
    np.testing.assert_allclose(sums, 0, atol=1e-8)


def test_the_template_is_found_at_every_angle_and_the_angle_with_it(camera, template):
    for angle in ANGLES:
        found = harmonic_scores(turned(camera, angle), template)
        place = np.unravel_index(found.scores.argmax(), found.scores.shape)
        assert place == (ROW - 50, COLUMN - 168)
        assert abs((found.angles[place] - angle + 180) % 360 - 180) < 0.5


@pytest.mark.parametrize(("orders", "spread"), [(range(17), 0.01), ([1], 0.01), ([2], 0.01), ([3], 0.01), ([5], 0.02)])
def test_a_turn_of_the_scene_changes_the_score_by_a_hundredth_or_two(camera, template, orders, spread):
    scores = [
        harmonic_scores(turned(camera, angle), template, orders).scores[ROW - 50, COLUMN - 168]
        for angle in (0, *ANGLES)
    ]
    assert max(scores) - min(scores) < spread


def test_a_copy_scores_the_root_of_the_share_of_energy_in_its_orders(camera, template):
    for orders in (range(3), range(9), [4]):
        score = harmonic_scores(camera, template, orders).scores[ROW - 50, COLUMN - 168]
        assert score == pytest.approx(np.sqrt(share_of_energy(template, list(orders))), abs=0.01)


def test_scores_are_those_of_a_search_over_the_angle(camera, template):
    orders = np.array([0, 1, 2, 5])
    scene, small = camera[:40, :44], template[:21, :25]
    found = harmonic_scores(scene, small, orders.tolist())
    harmonics, weights = circular_harmonics(small, orders.tolist())[..., 0], disc_weights(21, 25)
    inside = weights > 0
    for row, column in ((0, 0), (5, 9), (19, 19), (12, 3)):
        window = scene[row : row + 21, column : column + 25].astype(float)
        window = window - (weights * window).sum() / weights.sum()
        best = 0.0
        for angle in np.radians(np.arange(0, 360, 0.5)):
            phases = np.exp(1j * orders * angle) * np.where(orders == 0, 1, 2)
            kernel = (phases.conj()[:, None, None] * harmonics).sum(0).real[inside]
            norms = np.sqrt((weights * window**2).sum() * (kernel**2 / weights[inside]).sum())
            best = max(best, (window[inside] * kernel).sum() / norms)
        assert found.scores[row, column] == pytest.approx(best, abs=0.01)


def test_light_changes_no_score(camera, template):
    brighter = harmonic_scores(3.5 * camera.astype(np.float32) - 200, template)
    np.testing.assert_allclose(brighter.scores, harmonic_scores(camera, template).scores, atol=1e-4)


def test_scores_are_within_nought_and_one_and_a_flat_patch_scores_nought(template):
    scene = np.random.default_rng(0).integers(0, 65536, (90, 100)).astype(np.uint16)
    scene[:, 40:] = 65535
    found = harmonic_scores(scene, template)
    assert found.scores.dtype == np.float32
    assert found.scores.shape == (90 - SIDE + 1, 100 - SIDE + 1)
    assert found.scores.min() >= 0
    assert found.scores.max() <= 1
    assert not found.scores[:, 40:].any() and not found.angles[:, 40:].any()
    assert found.scores[:, 0].all()


def test_a_flat_template_and_a_flat_scene_score_nought(camera):
    assert not harmonic_scores(camera, np.full((20, 20), 77, np.uint8)).scores.any()
    assert not harmonic_scores(np.full((60, 60), 77.7), camera[:20, :20]).scores.any()


def test_channels_count_together():
    scene = skimage.data.chelsea()[40:200, 100:300]
    template = scene[30:71, 60:101]
    found = harmonic_scores(np.rot90(scene), template)
    place = np.unravel_index(found.scores.argmax(), found.scores.shape)
    assert place == (200 - 60 - 41, 30)
    assert found.angles[place] == pytest.approx(90, abs=0.1)


def test_feature_maps_match_as_pictures_do():
    maps = np.random.default_rng(0).standard_normal((40, 50, 16))
    found = harmonic_scores(maps, maps[10:25, 20:35])
    assert np.unravel_index(found.scores.argmax(), found.scores.shape) == (10, 20)


def test_orders_that_make_no_sense_are_refused(camera, template):
    for orders in ([], [-1, 2], [3, 3]):
        with pytest.raises(OptionError, match="different whole numbers >= 0"):
            harmonic_scores(camera, template, orders)


def test_a_template_larger_than_its_scene_is_refused(camera):
    with pytest.raises(ShapeError, match="template is 130x130 but scene is 60x50"):
        harmonic_scores(camera[:50, :60], camera)
