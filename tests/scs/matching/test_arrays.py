import pytest

from scs.errors import OptionError
from scs.matching.arrays import check_box


@pytest.mark.parametrize("box", [(0, 0, 64, 48), (63, 47, 1, 1), (5, 6, 7, 8)])
def test_a_box_inside_a_picture_passes_up_to_its_edges(box):
    assert check_box(box, "picture", width=64, height=48) is None


@pytest.mark.parametrize(
    "box",
    [(-1, 0, 5, 5), (0, -1, 5, 5), (0, 0, 0, 5), (0, 0, 5, 0), (0, 0, -5, 5), (60, 0, 5, 5), (0, 44, 5, 5)],
)
def test_a_box_without_area_or_not_inside_the_picture_is_refused_with_both(box):
    came = ",".join(map(str, box))
    with pytest.raises(OptionError, match=f"inside the picture, 64x48 here; {came} came"):
        check_box(box, "picture", width=64, height=48)
