import cv2
import numpy as np
import pytest

from scs.matching.presence.blurred import blurred


@pytest.mark.parametrize("shape", [(3, 40, 50, 1), (2, 30, 5, 3), (1, 1, 40, 1), (2, 3, 2, 4)])
@pytest.mark.parametrize("down, right", [(1.5, 1.5), (0.6, 2.0), (0, 1.0)])
def test_each_picture_is_blurred_as_opencv_blurs_it(shape, down, right):
    stack = np.random.default_rng(1).random(shape, np.float32)
    options = {"sigmaX": right, "sigmaY": down or 1e-3, "borderType": cv2.BORDER_REPLICATE}
    expected = [cv2.GaussianBlur(picture, (0, 0), **options).reshape(picture.shape) for picture in stack]
    np.testing.assert_allclose(blurred(stack, down, right), expected, atol=1e-6)
