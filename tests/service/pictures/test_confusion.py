"""The picture of a confusion shows right answers blue and wrong ones orange, of as many classes as can be read."""

import numpy as np
import pytest

from service.pictures.confusion import draw_confusion

BLUE, ORANGE = (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)


def areas(counts, labels):
    pixels = np.asarray(draw_confusion(np.array(counts), labels, "a title").convert("RGB"))
    return [int((pixels == colour).all(2).sum()) for colour in (BLUE, ORANGE)], pixels.shape


def test_a_row_that_is_right_is_blue_and_one_that_is_wrong_is_orange():
    (blue, orange), _ = areas([[3, 0, 0], [0, 3, 0], [0, 2, 0]], ["a", "b", "c"])
    assert blue == pytest.approx(2 * orange, rel=0.1) and orange > 500


def test_classes_that_do_not_occur_are_left_out_and_of_many_those_are_shown_that_are_confused():
    few, many = np.diag([4, 0, 4]), np.diag([4] * 100)
    many[7, 93] = 1
    words = ["a", "b", "c"]
    assert areas(few, words)[0] == areas(np.diag([4, 4]), words[:2])[0], "as many cells"
    (_, orange), shape = areas(many, [f"a class called {i}" for i in range(100)])
    assert max(shape) < 3000
    pixels = np.asarray(draw_confusion(many, [str(i) for i in range(100)], "").convert("RGB"))
    is_orange = (pixels[..., 0] > pixels[..., 2].astype(int) + 20).sum()
    assert is_orange > 500, "the one wrong answer is among what is shown"
    assert orange == 0, "a fifth of a row is a light orange"
