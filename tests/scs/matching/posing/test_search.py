import math

import cv2
import numpy as np
import pytest
from skimage import data

from scs.errors import OptionError, ShapeError
from scs.matching.posing import search
from scs.matching.posing.climb import climb
from scs.matching.posing.poses import pose_template, turn_and_scale
from scs.matching.posing.search import find_poses
from scs.matching.scores import score_map

PHOTOGRAPH = data.camera()
COLOURS = data.astronaut()


def warped(picture, place, angle, scale, centre, size=(240, 320)):
    """The picture turned and scaled, its point ``place`` coming to lie at ``centre``; both are (x, y)."""
    fine = 3
    forward = fine * turn_and_scale(angle, scale)
    offset = fine * np.array(centre) - forward @ place + forward @ (0.5, 0.5) - 0.5
    matrix = np.column_stack([forward, offset])
    samples = cv2.warpAffine(picture, matrix, (fine * size[1], fine * size[0]), borderMode=cv2.BORDER_REFLECT)
    return cv2.resize(samples, size[::-1], interpolation=cv2.INTER_AREA)


def patch(picture, x, y, height, width):
    return picture[y - height // 2 : y + height // 2, x - width // 2 : x + width // 2]


def assert_pose(match, centre, angle, scale, pixels=0.5, degrees=0.5, share=0.01):
    assert math.hypot(match.x - centre[0], match.y - centre[1]) < pixels
    assert abs((match.angle - angle + 180) % 360 - 180) < degrees
    assert match.scale == pytest.approx(scale, rel=share)


@pytest.mark.parametrize(("angle", "scale"), [(0, 1), (37, 0.55), (-171, 1.3), (90, 1.9), (179.9, 0.8)])
@pytest.mark.parametrize("shape", [(64, 64), (40, 80)])
def test_a_photograph_turned_and_scaled_is_found_below_the_pixel_and_below_the_step(angle, scale, shape):
    centre = (150.3, 121.8)
    scene = warped(PHOTOGRAPH, (250, 130), angle, scale, centre)
    (match,) = find_poses(scene, patch(PHOTOGRAPH, 250, 130, *shape), angles="-180:180", scales="0.5:2")
    assert_pose(match, centre, angle, scale, 0.15, 0.2, 0.004)
    assert match.score > 0.95


def test_without_steps_only_the_place_is_looked_for():
    scene = warped(PHOTOGRAPH, (250, 130), 0, 1, (100.25, 90.5))
    (match,) = find_poses(scene, patch(PHOTOGRAPH, 250, 130, 64, 64))
    assert (match.angle, match.scale) == (0, 1)
    assert (match.x, match.y) == pytest.approx((100.25, 90.5), abs=0.1)


def test_only_angles_or_only_scales_may_be_looked_for():
    template = patch(PHOTOGRAPH, 250, 130, 64, 64)
    (turned,) = find_poses(warped(PHOTOGRAPH, (250, 130), 50, 1, (150, 120)), template, angles="auto")
    assert_pose(turned, (150, 120), 50, 1)
    assert turned.scale == 1
    (grown,) = find_poses(warped(PHOTOGRAPH, (250, 130), 0, 1.4, (150, 120)), template, scales="auto")
    assert_pose(grown, (150, 120), 0, 1.4)
    assert grown.angle == 0


def test_listed_values_are_places_to_start_from():
    scene = warped(PHOTOGRAPH, (250, 130), 33, 1.1, (150, 120))
    template = patch(PHOTOGRAPH, 250, 130, 64, 64)
    (match,) = find_poses(scene, template, angles=range(-180, 180, 5), scales=[0.8, 1, 1.25])
    assert_pose(match, (150, 120), 33, 1.1)


def test_a_pose_outside_of_the_range_is_not_found():
    scene = warped(PHOTOGRAPH, (250, 130), 120, 1, (150, 120))
    template = patch(PHOTOGRAPH, 250, 130, 64, 64)
    assert find_poses(scene, template, angles="-60:60", threshold=0.8) == []


@pytest.mark.parametrize("method", ["ccoeff_normed", "ccorr_normed", "scs", "scs_centred"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_the_score_is_that_of_the_posed_template_at_its_place(method, dtype):
    scene = warped(PHOTOGRAPH, (250, 130), 33, 0.7, (150, 120))
    template = patch(PHOTOGRAPH, 250, 130, 64, 64)
    (match,) = find_poses(scene.astype(dtype), template, method, angles="auto", scales="auto", p=3, q=5)

    posed = pose_template(template, match.angle, match.scale, centre=(match.x, match.y))
    box = posed.box
    window = scene[box.row : box.row + box.rows, box.column : box.column + box.columns].astype(np.float32)
    oracle = score_map(window, posed.pixels[..., 0], method, mask=posed.weights[..., 0], p=3, q=5)
    assert match.score == pytest.approx(float(oracle.scores[0, 0]), abs=1e-4)


def test_every_instance_is_found_best_first():
    template = patch(PHOTOGRAPH, 250, 130, 48, 48)
    scene = np.full((300, 400), 90, np.uint8)
    scene += np.random.default_rng(0).integers(0, 4, scene.shape, np.uint8)
    poses = [(70.0, 80.0, 20.0, 1.0), (200.0, 90.0, -100.0, 1.5), (320.0, 200.0, 170.0, 0.75), (90.0, 220.0, 0.0, 1.2)]
    for x, y, angle, scale in poses:
        posed = pose_template(template, angle, scale, centre=(x, y))
        there = scene[posed.box.row :, posed.box.column :][: posed.box.rows, : posed.box.columns]
        there[:] = posed.weights[..., 0] * posed.pixels[..., 0] + (1 - posed.weights[..., 0]) * there
    matches = find_poses(scene, template, angles="auto", scales="auto", top=10, threshold=0.9)

    assert [match.score for match in matches] == sorted((match.score for match in matches), reverse=True)
    assert len(matches) == len(poses)
    for x, y, angle, scale in poses:
        nearest = min(matches, key=lambda match: math.hypot(match.x - x, match.y - y))
        assert_pose(nearest, (x, y), angle, scale)


@pytest.mark.parametrize("method", ["ccoeff_normed", "ccorr_normed", "scs", "scs_centred"])
def test_every_method_that_compares_sizes_finds_it(method):
    scene = warped(PHOTOGRAPH, (250, 130), 33, 0.8, (150, 120))
    template = patch(PHOTOGRAPH, 250, 130, 64, 64)
    (match,) = find_poses(scene, template, method, angles="auto", scales="auto", p=4, q=10)
    assert_pose(match, (150, 120), 33, 0.8)
    assert 0.8 < match.score <= 1


def test_sharpening_raises_the_cosine_to_its_power():
    scene = warped(PHOTOGRAPH, (250, 130), 33, 0.8, (150, 120))
    template = patch(PHOTOGRAPH, 250, 130, 64, 64)
    (plain,) = find_poses(scene, template, angles="auto")
    (sharp,) = find_poses(scene, template, "scs_centred", angles="auto", p=3, threshold=0)
    assert sharp.score == pytest.approx(plain.score**3, abs=1e-3)


def test_gain_and_offset_of_the_scene_do_not_matter():
    scene = warped(PHOTOGRAPH, (250, 130), 33, 0.8, (150, 120)).astype(np.float64)
    template = patch(PHOTOGRAPH, 250, 130, 64, 64)
    (match,) = find_poses(3e-3 * scene + 100, template, angles="auto", scales="auto")
    assert_pose(match, (150, 120), 33, 0.8)
    assert match.score > 0.97


@pytest.mark.parametrize(("scene_unit", "template_unit"), [(1e-25, 1e25), (1e200, 1e-200)])
def test_pictures_may_be_in_any_unit(scene_unit, template_unit):
    scene = scene_unit * warped(PHOTOGRAPH, (250, 130), 33, 0.8, (150, 120)).astype(np.float64)
    template = template_unit * patch(PHOTOGRAPH, 250, 130, 64, 64).astype(np.float64)
    (match,) = find_poses(scene, template, angles="auto", scales="auto")
    assert_pose(match, (150, 120), 33, 0.8)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_pictures_may_be_of_every_type(dtype):
    scene = warped(PHOTOGRAPH, (250, 130), 33, 0.8, (150, 120)).astype(dtype)
    template = patch(PHOTOGRAPH, 250, 130, 64, 64).astype(dtype)
    (match,) = find_poses(scene, template, angles="auto", scales="auto")
    assert_pose(match, (150, 120), 33, 0.8)


def test_colours_tell_apart_what_grey_does_not():
    template = patch(COLOURS, 220, 110, 64, 64)
    scene = warped(COLOURS, (220, 110), -50, 1.2, (100, 120))
    false = warped(COLOURS[..., ::-1], (220, 110), -50, 1.2, (100, 120))
    (right,) = find_poses(np.hstack([false, scene]), template, angles="auto", scales="auto")
    assert_pose(right, (320 + 100, 120), -50, 1.2)


def test_feature_maps_of_many_channels_are_searched_as_well():
    maps = np.concatenate([COLOURS, COLOURS[..., ::-1] ** 2, 255 - COLOURS], 2).astype(np.float32)
    scene = np.concatenate([warped(maps[..., i : i + 3], (220, 110), 70, 0.9, (150, 120)) for i in (0, 3, 6)], 2)
    (match,) = find_poses(scene, patch(maps, 220, 110, 64, 64), angles="auto", scales="auto")
    assert_pose(match, (150, 120), 70, 0.9)


def test_what_the_mask_hides_does_not_count():
    rows, columns = np.mgrid[:64, :64] - 31.5
    mask = (np.hypot(rows, columns) < 30).astype(np.uint8)
    template = patch(PHOTOGRAPH, 250, 130, 64, 64).copy()
    template[mask == 0] = 255 * np.random.default_rng(0).integers(0, 2, (mask == 0).sum())
    scene = warped(PHOTOGRAPH, (250, 130), 100, 0.9, (150, 120))
    (match,) = find_poses(scene, template, angles="auto", scales="auto", mask=mask)
    assert_pose(match, (150, 120), 100, 0.9)
    assert match.score > 0.97


@pytest.mark.parametrize("side", [24, 200])
def test_small_and_large_templates_are_found(side):
    scene = warped(PHOTOGRAPH, (250, 150), -20, 0.8, (160, 120))
    (match,) = find_poses(scene, patch(PHOTOGRAPH, 250, 150, side, side), angles="auto", scales="0.75:1.3")
    assert_pose(match, (160, 120), -20, 0.8)


def test_poses_that_are_larger_than_the_scene_are_passed_over():
    scene = warped(PHOTOGRAPH, (250, 150), 0, 0.6, (80, 60), size=(120, 160))
    (match,) = find_poses(scene, patch(PHOTOGRAPH, 250, 150, 160, 160), angles="-10:10", scales="0.5:2")
    assert_pose(match, (80, 60), 0, 0.6)


def test_nothing_is_found_where_there_is_nothing():
    template = patch(PHOTOGRAPH, 250, 130, 64, 64)
    noise = np.random.default_rng(0).integers(0, 255, (200, 200), np.uint8)
    assert find_poses(noise, template, angles="auto", scales="auto") == []
    for method in ("ccoeff_normed", "scs"):
        assert find_poses(np.zeros((200, 200)), template, method, angles="auto") == []
    assert find_poses(np.full((200, 200), 7, np.uint8), template, angles="auto") == []


def test_a_flat_template_is_found_nowhere():
    assert find_poses(PHOTOGRAPH, np.full((32, 32), 9, np.uint8), angles="auto", threshold=0) == []


def test_the_best_match_of_the_full_search_is_found():
    scene = warped(PHOTOGRAPH, (250, 130), 62, 0.7, (60, 50), size=(100, 120))
    template = patch(PHOTOGRAPH, 250, 130, 32, 32)
    scores = []
    for angle in range(0, 360, 6):
        for scale in (0.6, 0.65, 0.7, 0.76, 0.82):
            posed = pose_template(template, angle, scale)
            scores.append(
                score_map(scene.astype(np.float32), posed.pixels[..., 0], mask=posed.weights[..., 0]).scores.max()
            )
    (match,) = find_poses(scene, template, angles="auto", scales="0.6:0.82")
    assert match.score >= max(scores) - 0.01


def test_a_template_that_fits_in_no_pose_is_refused_with_both_sizes():
    with pytest.raises(ShapeError, match="80x80 but scene is 300x60"):
        find_poses(np.zeros((60, 300)), np.ones((80, 80)), angles="auto")


@pytest.mark.parametrize(
    ("scene", "template", "mask"),
    [
        ((9, 9, 3), (3, 3), None),
        ((9, 9, 3), (3, 3, 1), None),
        ((9, 9), (3, 3), (3, 2)),
        ((9,), (3,), None),
        ((9, 9), (0, 3), None),
    ],
)
def test_pictures_that_do_not_fit_each_other_are_refused(scene, template, mask):
    with pytest.raises(ShapeError, match="template|scene|mask"):
        find_poses(np.ones(scene), np.ones(template), mask=None if mask is None else np.ones(mask))


@pytest.mark.parametrize(
    "options", [{"method": "sqdiff_normed"}, {"method": "ccoeff"}, {"p": 0}, {"q": -1}, {"top": 0}, {"scales": "0:1"}]
)
def test_options_that_make_no_sense_are_refused_with_what_came(options):
    with pytest.raises(OptionError, match="came"):
        find_poses(PHOTOGRAPH, PHOTOGRAPH[:32, :32], **options)


@pytest.mark.parametrize("angle", [178.6, 179.7, -179.8])
def test_an_angle_of_a_full_circle_stays_within_it(angle):
    scene = warped(PHOTOGRAPH, (250, 130), angle, 1.0, (150, 120))
    (match,) = find_poses(scene, patch(PHOTOGRAPH, 250, 130, 64, 64), angles="-180:180")
    assert -180 <= match.angle < 180
    assert abs((match.angle - angle + 180) % 360 - 180) < 1


@pytest.mark.parametrize(
    ("hidden", "method", "scans"), [(True, "ccoeff_normed", 1), (False, "ccoeff_normed", 2), (True, "scs", 2)]
)
def test_a_finer_scan_follows_where_the_first_leaves_a_doubt(monkeypatch, hidden, method, scans):
    """With the mean left in, a high score leaves one."""
    random = np.random.default_rng(0)
    scene, template = (cv2.GaussianBlur(random.random(shape), (0, 0), 3) for shape in ((200, 200), (48, 48)))
    if hidden:
        template = np.rot90(scene[60:108, 90:138]).copy()
    seen = []
    monkeypatch.setattr(search, "climb", lambda *given: seen.append(given[3].largest) or climb(*given))
    find_poses(scene, template, method, angles="0:360")
    assert len(seen) == scans and sorted(seen) == seen
