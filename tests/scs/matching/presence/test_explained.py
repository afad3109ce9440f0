import dataclasses

import cv2
import numpy as np
import pytest
from skimage import data

from scs.matching.arrays import as_picture
from scs.matching.presence.explained import NOTHING, Explainer, Noise

SCENE = data.camera()[::2, ::2]
ROW, COLUMN, HEIGHT, WIDTH = 50, 90, 30, 40
TEMPLATE = SCENE[ROW : ROW + HEIGHT, COLUMN : COLUMN + WIDTH]
QUIET = Noise(0.0, 0.0)


def explained(scene, template=TEMPLATE, row=ROW, column=COLUMN, mask=None, noise=QUIET, **options):
    return Explainer(template, mask).explain(as_picture("scene", scene), row, column, noise, **options)


def test_its_own_pixels_are_explained_wholly():
    one = explained(SCENE)
    assert one.fine == pytest.approx(1, abs=1e-4)
    assert one.coarse == pytest.approx(1, abs=1e-4)
    assert one.worst == pytest.approx(0, abs=1e-3)


def test_another_place_is_explained_badly():
    one = explained(SCENE, row=150, column=20)
    assert one.fine < 0.7
    assert one.worst > 0.3


def test_blur_light_and_a_part_of_a_pixel_take_little_off():
    shift = np.float32([[1, 0, 0.4], [0, 1, -0.3]])
    seen = cv2.GaussianBlur(cv2.warpAffine(SCENE, shift, SCENE.shape[::-1]), (0, 0), 0.7)
    one = explained((0.8 * seen + 20).astype(np.uint8))
    plain = np.corrcoef(TEMPLATE.ravel(), seen[ROW : ROW + HEIGHT, COLUMN : COLUMN + WIDTH].ravel())[0, 1]
    assert one.fine > max(plain, 0.97)


def test_white_noise_is_taken_off():
    rng = np.random.default_rng(0)
    noisy = SCENE + 60 * rng.standard_normal(SCENE.shape)
    noise = Explainer(TEMPLATE).noise(as_picture("scene", noisy))
    window = noisy[ROW : ROW + HEIGHT, COLUMN : COLUMN + WIDTH]
    assert np.corrcoef(TEMPLATE.ravel(), window.ravel())[0, 1] < 0.75
    one = explained(noisy, noise=noise)
    assert one.coarse > 0.93
    assert one.worst < 0.2


def test_a_difference_in_one_spot_shows():
    other = SCENE.copy()
    other[ROW + 10 : ROW + 14, COLUMN + 20 : COLUMN + 24] = 255 - other[ROW + 10 : ROW + 14, COLUMN + 20 : COLUMN + 24]
    assert explained(other).worst > 0.15


def test_the_inverse_is_explained_where_that_is_asked_for():
    assert explained(255 - SCENE) == NOTHING
    assert explained(255 - SCENE, sign=-1).fine == pytest.approx(1, abs=1e-4)


def test_what_a_mask_hides_does_not_count():
    spoilt = TEMPLATE.copy()
    spoilt[:, :15] = np.random.default_rng(0).integers(0, 256, (HEIGHT, 15))
    mask = np.ones(TEMPLATE.shape)
    mask[:, :15] = 0
    assert explained(SCENE, spoilt).fine < 0.9
    assert explained(SCENE, spoilt, mask=mask).fine == pytest.approx(1, abs=1e-3)


def test_a_flat_template_and_a_flat_window_explain_nothing():
    assert explained(SCENE, np.full((8, 8), 3, np.uint8)) == NOTHING
    assert explained(np.full((60, 60), 9, np.uint8), row=3, column=3) == NOTHING


def test_a_motif_on_a_slope_is_explained():
    motif = np.sin(np.linspace(0, 9, 60))
    series = np.concatenate([np.zeros(50), motif, np.zeros(50)]) + np.linspace(0, 3, 160)
    assert explained(series, motif, 0, 50).fine > 0.999


def test_a_large_template_is_looked_at_in_blocks():
    large = data.camera()
    one = explained(large, large[50:350, 60:400], 50, 60)
    assert one.fine == pytest.approx(1, abs=1e-4)


def test_the_noise_of_a_scene_is_that_of_its_quiet_parts():
    rng = np.random.default_rng(0)
    scene = np.full((200, 200), 100.0) + 5 * rng.standard_normal((200, 200))
    scene[80:120, 80:120] += 100 * rng.random((40, 40))
    explainer = Explainer(scene[80:120, 80:120])
    noise = explainer.noise(as_picture("scene", scene))
    assert noise.fine == pytest.approx(25 * explainer._weights.mean(), rel=0.2)
    assert noise.coarse < 0.1 * noise.fine


def test_a_difference_at_the_rim_counts_less_than_one_in_the_middle():
    def worst(row, column):
        other = SCENE.astype(np.float32)
        other[ROW + row : ROW + row + 4, COLUMN + column : COLUMN + column + 4] += 120
        return explained(other).worst

    assert worst(0, 0) < 0.5 * worst(HEIGHT // 2, WIDTH // 2)


def test_the_noise_of_a_large_template_is_that_of_its_averaged_pixels():
    deviation = 20
    scene = 128 + deviation * np.random.default_rng(0).standard_normal((900, 900))
    explainer = Explainer(scene[:640, :640])
    block = 640 // explainer._shape[0]
    assert block > 1
    expected = (deviation / block) ** 2 * explainer._weights.mean()
    assert explainer.noise(as_picture("scene", scene)).fine == pytest.approx(expected, rel=0.2)


def test_what_surrounds_a_copy_that_shrank_is_no_difference():
    small = cv2.resize(TEMPLATE, None, fx=0.97, fy=0.97, interpolation=cv2.INTER_AREA)
    scene = np.full((60, 80), 0, np.uint8)
    scene[15 : 15 + small.shape[0], 20 : 20 + small.shape[1]] = small
    one = explained(scene, row=15, column=20)
    inside = np.corrcoef(TEMPLATE.ravel(), scene[15 : 15 + HEIGHT, 20 : 20 + WIDTH].ravel())[0, 1]
    assert inside < 0.8
    assert one.fine > 0.97


def test_what_is_left_of_a_copy_in_noise_has_no_structure_and_that_of_another_thing_has():
    noise = 20 * np.random.default_rng(0).standard_normal(SCENE.shape)
    assert explained(SCENE + noise).structure < 0.1
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    other = SCENE.astype(np.float64)
    other[ROW : ROW + HEIGHT, COLUMN : COLUMN + WIDTH] += 60 * np.exp(-((x - 20) ** 2 + (y - 15) ** 2) / 50)
    assert explained(other + noise / 4).structure > 0.5


def test_the_more_a_template_has_to_change_the_more_it_is_strained():
    strains = [explained(cv2.GaussianBlur(SCENE, (0, 0), blur) if blur else SCENE).strain for blur in (0, 0.5, 0.8)]
    assert strains[0] == pytest.approx(0, abs=1e-3)
    assert strains == sorted(strains)
    assert strains[-1] > 0.1


def test_a_part_of_what_noise_alone_has_a_fit_change_is_no_strain():
    def strain(uncertainty):
        explainer, found = Explainer(TEMPLATE), []
        explainer._uncertainty = uncertainty * explainer._uncertainty
        for seed in range(20):
            noisy = SCENE + 80 * np.random.default_rng(seed).standard_normal(SCENE.shape)
            picture = as_picture("scene", noisy.astype(np.float32))
            found.append(explainer.explain(picture, ROW, COLUMN, explainer.noise(picture)).strain)
        return np.mean(found)

    assert strain(1) < 0.8 * strain(0)


@pytest.mark.parametrize("scene", [SCENE, data.astronaut()[::2, ::2], SCENE[40]])
def test_windows_are_explained_together_as_they_are_one_by_one(scene):
    picture, rng = as_picture("scene", scene), np.random.default_rng(4)
    template = scene[100:140] if scene.ndim == 1 else scene[100:130, 50:90]
    explainer = Explainer(template)
    noise = explainer.noise(picture)
    last = picture.shape[0] - explainer.size[0] + 1, picture.shape[1] - explainer.size[1] + 1
    places = [(int(rng.integers(last[0])), int(rng.integers(last[1]))) for _ in range(30)]
    signs = rng.choice([-1, 1], 30).tolist()
    together = explainer.explain_all(picture, places, noise, signs)
    for place, sign, one in zip(places, signs, together, strict=True):
        alone = explainer.explain(picture, *place, noise, sign)
        assert dataclasses.astuple(one) == pytest.approx(dataclasses.astuple(alone), abs=1e-4)
