import numpy as np
import pytest

from scs.errors import OptionError
from scs.matching.posing.poses import (
    Box,
    Steps,
    angle_steps,
    fitting_angles,
    fitting_scales,
    pose_template,
    scale_steps,
    turn_and_scale,
)


def picture(*shape, seed=0):
    return np.random.default_rng(seed).random(shape, np.float32)


def test_without_angles_and_scales_there_is_one_pose():
    assert angle_steps(None).values == (0.0,)
    assert scale_steps(None).values == (1.0,)


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("30", Steps(30, 30, (30.0,))),
        ("90,0,180", Steps(0, 180, (0.0, 90.0, 180.0))),
        ("-10:10:5", Steps(-10, 10, (-10.0, -5.0, 0.0, 5.0, 10.0))),
        ("0:1:0.4", Steps(0, 0.8, (0.0, 0.4, 0.8))),
        ("-180:180", Steps(-180, 180)),
        ("-180:180:auto", Steps(-180, 180)),
        ("auto", Steps(-180, 180)),
    ],
)
def test_steps_are_read_as_they_stand_on_a_command_line(text, steps):
    found = angle_steps(text)
    assert (found.low, found.high) == pytest.approx((steps.low, steps.high))
    assert found.values == (steps.values if steps.values is None else pytest.approx(steps.values))


def test_scales_by_themselves_go_from_half_to_double():
    assert scale_steps("auto") == Steps(0.5, 2.0)


@pytest.mark.parametrize(
    "text", ["", "a", "1:", "2:1", "1:2:0", "1:2:-1", "1:2:3:4", "nan:1", "0:inf", "1,,2", "1:2:x"]
)
def test_text_that_names_no_steps_is_refused_with_what_came(text):
    with pytest.raises(OptionError, match="came"):
        angle_steps(text)


@pytest.mark.parametrize("text", ["0:1e300:1e-300", "0:1:1e-5"])
def test_text_that_names_too_many_steps_is_refused_before_they_are_listed(text):
    with pytest.raises(OptionError, match="up to 10000 values"):
        angle_steps(text)


@pytest.mark.parametrize("option", ["0:2", "-1", 0, [1, -0.5]])
def test_a_scale_is_above_zero(option):
    with pytest.raises(OptionError, match="above zero"):
        scale_steps(option)


@pytest.mark.parametrize("radius", [4, 22.6, 45.3, 200])
def test_fitting_steps_move_the_rim_by_a_pixel_at_most_and_by_nearly_one(radius):
    angles = np.radians(fitting_angles(angle_steps("-180:180"), radius))
    moves = radius * np.diff(np.append(angles, angles[0] + 2 * np.pi))
    assert (moves <= 1 + 1e-9).all()
    assert moves.min() > 0.9

    scales = np.array(fitting_scales(scale_steps("0.5:2"), radius))
    moves = radius * (scales[1:] / scales[:-1] - 1)
    assert (scales[0], scales[-1]) == pytest.approx((0.5, 2))
    assert (moves <= 1 + 1e-9).all()
    assert moves.min() > 0.8


def test_listed_values_are_tried_as_they_are():
    assert fitting_angles(angle_steps([90, 0]), 50) == (0.0, 90.0)
    assert fitting_scales(scale_steps([1, 2]), 50) == (1.0, 2.0)


def test_angles_turn_counter_clockwise_on_screen():
    assert turn_and_scale(90, 2) @ (1, 0) == pytest.approx((0, -2))  # right becomes up


@pytest.mark.parametrize("quarters", range(4))
def test_quarter_turns_are_exact(quarters):
    template = picture(5, 8)
    posed = pose_template(template, 90 * quarters, 1)
    assert posed.pixels[..., 0] == pytest.approx(np.rot90(template, quarters), abs=1e-5)
    assert posed.weights == pytest.approx(1, abs=1e-5)


def test_half_the_size_is_the_mean_of_four_pixels():
    template = picture(6, 8, 3)
    posed = pose_template(template, 0, 0.5)
    assert posed.pixels == pytest.approx(template.reshape(3, 2, 4, 2, 3).mean((1, 3)), abs=1e-5)


def test_a_turned_square_covers_only_a_part_of_its_box():
    posed = pose_template(np.ones((40, 40), np.uint8), 45, 1)
    assert posed.weights.shape == (57, 57, 1)
    assert posed.weights.sum() == pytest.approx(40 * 40, rel=0.01)
    assert posed.weights[0, 0] == posed.weights[-1, -1] == 0
    assert posed.weights[28, 28] == 1


def test_a_mask_is_turned_with_its_template_and_hides_what_it_hid():
    template, mask = picture(20, 20), np.zeros((20, 20), np.float32)
    mask[:10] = 1
    posed = pose_template(template, 90, 1, mask=mask)
    assert posed.weights[..., 0] == pytest.approx(np.rot90(mask), abs=1e-5)

    hidden = np.where(mask > 0, template, 1e6)
    turned = pose_template(hidden, 30, 0.8, mask=mask)
    assert turned.pixels[turned.weights > 0].max() <= 1.001


def test_a_mask_may_differ_from_channel_to_channel():
    template, mask = picture(8, 10, 3), picture(8, 10, 3, seed=1)
    posed = pose_template(template, 180, 1, mask=mask)
    assert posed.weights == pytest.approx(mask[::-1, ::-1], abs=1e-5)
    assert posed.pixels == pytest.approx(template[::-1, ::-1], abs=1e-3)


def test_a_template_comes_to_lie_where_its_centre_was_put():
    template = picture(6, 9)
    posed = pose_template(template, 0, 1, centre=(20.5, 13))
    assert posed.box == Box(row=10, column=16, rows=6, columns=9)
    assert posed.pixels[..., 0] == pytest.approx(template, abs=1e-5)

    between = pose_template(template, 0, 1, centre=(21, 13))
    assert between.box == Box(row=10, column=16, rows=6, columns=10)
    assert between.weights[0, :, 0] == pytest.approx([0.5, *[1] * 8, 0.5], abs=1e-5)
    assert between.pixels[:, 1:-1, 0] == pytest.approx((template[:, 1:] + template[:, :-1]) / 2, abs=1e-5)
