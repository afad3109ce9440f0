"""Pictures of any shape stand in rows, each with its words."""

import numpy as np

from service.pictures.captioned import Captioned, draw_captioned
from service.pictures.sheet import COLUMNS


def test_every_picture_is_shown_whole_and_rows_are_added_as_they_are_needed():
    red, grey = np.zeros((20, 60, 3), np.uint8), np.full((400, 90, 1), 77, np.uint8)
    red[..., 0] = 255
    heights = []
    for count in (1, COLUMNS, COLUMNS + 1):
        shown = [Captioned(red if i % 2 == 0 else grey, f"class {i}", "is another; its name") for i in range(count)]
        pixels = np.asarray(draw_captioned(shown, "the worst"))
        heights.append(pixels.shape[0])
        width = int((pixels == (255, 0, 0)).all(2).sum(1).max())
        assert width % -(-min(count, COLUMNS) // 2) == 0 and width > 200, "as wide as its place, each"
        if count > 1:
            assert (pixels == 77).all(2).sum(0).max() > 200, "as high as its place"
    assert heights[0] == heights[1] < heights[2]


def test_no_picture_is_a_title():
    assert draw_captioned([], "no wrong answers").width > 200
