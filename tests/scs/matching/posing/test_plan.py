"""A scan tries no more than it has to, at as fine a resolution as it can afford."""

import numpy as np
import pytest

from scs.matching.posing.plan import Ranges, climbing_sizes, plan_scan
from scs.matching.posing.poses import ALL_ANGLES, USUAL_SCALES, Steps
from scs.matching.posing.resolutions import TemplatePlane

TEMPLATE = TemplatePlane(np.random.default_rng(0).random((64, 64), np.float32))
ANYHOW = Ranges(Steps(*ALL_ANGLES), Steps(*USUAL_SCALES))
UPRIGHT = Ranges(Steps.of([0]), Steps.of([1]))


def test_the_fewer_poses_there_are_the_finer_is_the_scan():
    turned = Ranges(Steps(*ALL_ANGLES), Steps.of([1]))
    sizes = [plan_scan(TEMPLATE, ranges).size for ranges in (ANYHOW, turned, UPRIGHT)]
    assert sizes == sorted(set(sizes))
    assert sizes[-1] <= TEMPLATE.size


def test_a_small_template_is_scanned_for_as_it_is():
    small = TemplatePlane(np.ones((8, 8), np.float32))
    plan = plan_scan(small, ANYHOW)
    assert plan.size == 8
    assert max(size for _, size in plan.levels()) == 8


def test_a_template_is_shown_in_no_more_pixels_than_its_scene_has():
    small = TemplatePlane(np.ones((8, 8), np.float32))
    assert all(size <= 8 * scale + 1e-9 for scale, size in plan_scan(small, ANYHOW).levels())


def test_a_step_of_angle_moves_the_rim_by_a_pixel_at_most():
    plan = plan_scan(TEMPLATE, ANYHOW)
    steps = np.diff(plan.angles(plan.size))
    assert (np.radians(steps) * plan.size / 2 <= 1 + 1e-9).all()


def test_of_listed_angles_those_are_left_out_that_the_others_cover():
    listed = Ranges(Steps.of([a / 10 for a in range(-300, 301)]), Steps.of([1]))
    tried = plan_scan(TEMPLATE, listed).angles(12)
    assert set(tried) < set(listed.angles.values)
    assert np.diff(tried).max() <= np.degrees(1 / 6) + 1e-9


@pytest.mark.parametrize(
    ("angles", "turning"),
    [(Steps(-180, 180), True), (Steps(0, 400), True), (Steps(-90, 90), False), (Steps.of([-180, 180]), False)],
)
def test_only_a_full_circle_has_no_ends(angles, turning):
    assert Ranges(angles, Steps.of([1])).turning is turning


def test_only_ranges_with_no_turn_and_no_growth_hold_the_template_as_it_is():
    assert ANYHOW.hold_upright and UPRIGHT.hold_upright
    assert not Ranges(Steps(10, 20), Steps.of([1])).hold_upright
    assert not Ranges(Steps.of([0]), Steps(1.5, 2)).hold_upright


def test_sizes_double_up_to_the_template_and_in_finer_steps_above_what_some_scales_show():
    assert climbing_sizes(16, 16, 64) == pytest.approx([16, 16 * 2, 32 * 2**0.5, 64])
    assert climbing_sizes(6, 12, 12) == pytest.approx([6, 12])
    assert climbing_sizes(12, 12, 12) == [12]
