import numpy as np
import pytest
import skimage.data

from scs.errors import OptionError, ShapeError
from scs.matching.parts import PartsTemplate, parts_map


def peak(scores):
    return tuple(int(place) for place in np.unravel_index(scores.argmax(), scores.shape))


@pytest.fixture(scope="module")
def scene():
    return skimage.data.astronaut()[::2, ::2]


def test_a_template_is_found_where_it_was_cut_out(scene):
    scores = parts_map(scene, scene[20:60, 90:130])
    row, column = peak(scores)
    assert scores.shape == (256 - 40 + 1, 256 - 40 + 1)
    assert abs(row - 20) <= 2 and abs(column - 90) <= 2


def test_a_box_outside_its_reference_is_refused(scene):
    with pytest.raises(OptionError, match="lies inside the reference, 256x256 here; 250,0,10,10 came"):
        PartsTemplate.from_box(scene, (250, 0, 10, 10))


def test_a_template_larger_than_its_scene_is_refused(scene):
    with pytest.raises(ShapeError, match="a template must fit inside its scene"):
        parts_map(scene[:30], scene[:31])
