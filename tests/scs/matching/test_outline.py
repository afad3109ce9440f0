import numpy as np
import pytest

from scs.matching.finding import Search, find, heatmap
from scs.matching.outline import one_colour


def cross(size=24):
    mask = np.zeros((size, size), np.float32)
    steps = np.arange(4, size - 4)
    for shift in (-1, 0, 1):
        mask[steps + shift, steps] = mask[steps + shift, size - 1 - steps] = 1
    return mask


def drawn(back, ink, places):
    scene = np.empty((120, 160, 3), np.uint8)
    scene[:] = back
    mask = cross()
    for row, column in places:
        window = scene[row : row + 24, column : column + 24]
        window[mask > 0] = ink
        scene[row : row + 24, column + 40 : column + 64] = back
    scene[80:100, 20:40] = ink  # of the same colour, but another shape
    return scene


@pytest.mark.parametrize(("back", "ink"), [((240, 240, 240), (200, 30, 40)), ((20, 30, 90), (200, 220, 40))])
def test_a_glyph_of_one_colour_is_found_by_its_outline(back, ink):
    template = np.zeros((24, 24, 3), np.uint8)
    template[:] = ink
    found = find(drawn(back, ink, [(20, 30), (60, 90)]), [template], Search(top=4), masks=[cross()])
    assert found.outlined == [True]
    places = sorted((round(match.x), round(match.y)) for match in found.matches if match.present)
    assert places == [(42, 32), (102, 72)]
    assert {(match.width, match.height) for match in found.matches} == {(24, 24)}


def test_at_the_rim_of_the_scene_it_is_found_as_well():
    template = np.full((24, 24, 3), 10, np.uint8)
    match = find(drawn((200,) * 3, (10,) * 3, [(0, 0)]), [template], masks=[cross()]).matches[0]
    assert (match.x, match.y, match.present) == (pytest.approx(12, abs=0.1), pytest.approx(12, abs=0.1), True)


def test_its_heatmap_is_as_large_as_that_of_any_template():
    template, scene = np.full((24, 24, 3), 10, np.uint8), drawn((200,) * 3, (10,) * 3, [(20, 30)])
    scores = heatmap(scene, template, Search(), mask=cross()).scores
    assert scores.shape == (97, 137)
    assert np.unravel_index(scores.argmax(), scores.shape) == (20, 30)


def test_contrast_inside_the_mask_or_no_mask_is_no_outline():
    assert not one_colour(np.full((9, 9), 3, np.uint8), None)
    assert not one_colour(np.full((9, 9), 3, np.uint8), np.ones((9, 9)))
    assert not one_colour(np.arange(81, dtype=np.uint8).reshape(9, 9), np.eye(9))
    assert one_colour(np.full((9, 9), 3, np.uint8), np.eye(9))
