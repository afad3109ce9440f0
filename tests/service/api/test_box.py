import re

import pytest

from service.api.box import BOX_PATTERN, PixelBox, parse_box


@pytest.mark.parametrize(
    "text, box", [("1,2,30,40", PixelBox(x=1, y=2, width=30, height=40)), ("-1,0,999999,-5", (-1, 0, 999_999, -5))]
)
def test_a_box_is_read_as_corner_and_size(text, box):
    assert re.match(BOX_PATTERN, text) and parse_box(text) == box


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "1, 2,3,4", "1,2,3,4.5", "1,2,3,1000000", "a,b,c,d"])
def test_a_text_of_another_form_does_not_pass_as_a_box(text):
    assert not re.match(BOX_PATTERN, text)
