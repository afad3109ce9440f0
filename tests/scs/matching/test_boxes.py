import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scs.errors import ShapeError
from scs.matching.boxes import corners, overlap

places, sides, angles = st.floats(-20, 20), st.floats(0.5, 30), st.floats(-720, 720)
boxes = st.tuples(places, places, sides, sides, angles).map(np.array)


def painted_overlap(box, other, fine=40):
    """Intersection over union as counted on a fine grid of points."""
    corner = corners([box, other])
    low, high = corner.min((0, 1)), corner.max((0, 1))
    x, y = np.meshgrid(*(np.linspace(a, b, 25 * fine) for a, b in zip(low, high, strict=True)))
    masks = []
    for centre_x, centre_y, width, height, angle in (box, other):
        cosine, sine = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
        along, down = cosine * (x - centre_x) - sine * (y - centre_y), sine * (x - centre_x) + cosine * (y - centre_y)
        masks.append((abs(along) <= width / 2) & (abs(down) <= height / 2))
    return (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum()


def test_an_upright_box_has_its_corners_clockwise_from_the_top_left():
    assert corners([10, 20, 4, 2, 0]).tolist() == [[8, 19], [12, 19], [12, 21], [8, 21]]


def test_corners_turn_as_opencv_turns_a_picture():
    turn = cv2.getRotationMatrix2D((10, 20), 30, 1)
    upright = np.array([[8, 19, 1], [12, 19, 1], [12, 21, 1], [8, 21, 1]])
    assert corners([10, 20, 4, 2, 30]) == pytest.approx(upright @ turn.T)


def test_many_boxes_have_their_corners_at_once():
    some = np.random.default_rng(0).uniform(1, 9, (3, 4, 5))
    assert corners(some).shape == (3, 4, 4, 2)
    assert corners(some)[2, 1] == pytest.approx(corners(some[2, 1]))


@pytest.mark.parametrize("angle", [0, 17, 45, 90, -135])
def test_known_overlaps(angle):
    box = [0, 0, 4, 2, angle]
    assert overlap(box, box) == pytest.approx(1)
    assert overlap(box, [0, 0, 4, 2, angle + 180]) == pytest.approx(1)
    assert overlap(box, [0, 0, 2, 4, angle + 90]) == pytest.approx(1)
    assert overlap(box, [0, 0, 2, 1, angle]) == pytest.approx(1 / 4)
    assert overlap(box, [0, 0, 4, 2, angle + 90]) == pytest.approx(4 / 12)
    assert overlap(box, [50, 0, 4, 2, angle]) == 0
    octagon = 2 * (np.sqrt(2) - 1) * 4
    assert overlap([0, 0, 2, 2, angle], [0, 0, 2, 2, angle + 45]) == pytest.approx(octagon / (8 - octagon))


@given(boxes, boxes)
def test_overlap_is_symmetric_and_within_nought_and_one(box, other):
    assert 0 <= overlap(box, other) <= 1
    assert overlap(box, other) == pytest.approx(overlap(other, box), abs=1e-6)


@given(boxes, boxes, places, places, angles, st.floats(0.1, 10))
def test_overlap_does_not_change_when_both_are_moved_turned_and_scaled(box, other, x, y, angle, scale):
    cosine, sine = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))

    def moved(one):
        centre = np.array([[cosine, sine], [-sine, cosine]]) @ one[:2] + [x, y]
        return [*(scale * centre), scale * one[2], scale * one[3], one[4] + angle]

    assert overlap(moved(box), moved(other)) == pytest.approx(overlap(box, other), abs=1e-6)


@given(boxes, st.floats(-1e-7, 1e-7), st.floats(-1e-7, 1e-7))
def test_a_box_overlaps_all_but_itself_whole(box, nudge, turn):
    assert overlap(box, box + [nudge, nudge, 0, 0, turn]) == pytest.approx(1, abs=1e-5)


def test_overlap_is_what_counting_points_says():
    rng = np.random.default_rng(0)
    for _ in range(25):
        box, other = rng.uniform([-4, -4, 1, 1, -180], [4, 4, 12, 12, 180], (2, 5))
        assert overlap(box, other) == pytest.approx(painted_overlap(box, other), abs=0.01)


def test_a_box_of_other_than_five_numbers_is_refused():
    with pytest.raises(ShapeError, match=r"an array \(..., 5\); \(4,\) came"):
        corners([1, 2, 3, 4])
