import numpy as np

from service.pictures.resize import resize_image, scaled_size

MEGAPIXEL = 1_000_000


def test_making_a_picture_small_averages_it():
    stripes = np.zeros((64, 64, 1), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(resize_image(stripes, (8, 8)).astype(int) - 127).max() <= 6


def test_a_number_scales_the_longer_side_and_keeps_the_shape():
    assert scaled_size((1024, 768), 512, MEGAPIXEL) == (512, 384)
    assert scaled_size((768, 1024), 512, MEGAPIXEL) == (384, 512)
    assert scaled_size((5000, 1), 100, MEGAPIXEL) == (100, 1)
    assert scaled_size((10, 5), 100, MEGAPIXEL) == (100, 50)
