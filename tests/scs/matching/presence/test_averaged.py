import cv2
import numpy as np
import pytest

from scs.matching.presence.averaged import averaged


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize(
    ("shape", "size"), [((80, 90, 1), (11, 15)), ((30, 20, 3), (30, 7)), ((1, 90, 1), (1, 9)), ((12, 9, 4), (12, 9))]
)
def test_each_average_is_of_its_part_of_the_picture(shape, size, dtype):
    pixels = np.random.default_rng(1).uniform(0, 255, shape).astype(dtype)
    expected = cv2.resize(pixels.astype(np.float64), size[::-1], interpolation=cv2.INTER_AREA).reshape(*size, -1)
    np.testing.assert_allclose(averaged(pixels, size), expected, atol=1e-4)


def test_a_part_of_a_picture_is_averaged_as_its_copy_is():
    picture = np.random.default_rng(2).uniform(0, 255, (50, 60, 3))
    part = picture[5:45, 10:50, ::-1]
    np.testing.assert_array_equal(averaged(part, (8, 9)), averaged(part.copy(), (8, 9)))
