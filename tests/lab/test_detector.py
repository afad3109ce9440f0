"""A detector finds again what it was shown, and its map does not depend on tiles."""

import numpy as np
import pytest
import torch

from lab.detector import FIELD, STRIDE, Detector, Scene, learn
from scs.errors import OptionError, ShapeError


def scene(seed, size=(160, 200), count=1):
    """Grey noise with red-and-blue things in it, and blue-and-red ones, which are not meant."""
    random = np.random.default_rng(seed)
    pixels = random.integers(90, 150, (*size, 3))
    cells = random.permutation([(row, column) for row in range(size[0] // 50) for column in range(size[1] // 50)])
    centres = 50 * cells[:, ::-1] + 25.0
    for number, (x, y) in enumerate(centres.astype(int)):
        upper, lower = ([220, 30, 30], [30, 30, 220])[:: 1 if number < count else -1]
        pixels[y - 10 : y, x - 8 : x + 8], pixels[y : y + 10, x - 8 : x + 8] = upper, lower
    return Scene(pixels.astype(np.uint8), centres[:count])


def test_a_thing_is_learned_from_scenes_and_found_in_others_among_what_is_like_it():
    detector = learn([scene(seed, count=3) for seed in range(3)], rounds=2, steps=40)
    for seed in (10, 11):
        unseen = scene(seed)
        scores = detector.map(unseen.pixels)
        row, column = np.unravel_index(scores.argmax(), scores.shape)
        assert np.abs(STRIDE * np.array([column, row]) + FIELD / 2 - unseen.centres[0]).max() <= 8


def test_a_crop_of_its_field_has_one_score_which_is_that_of_the_map():
    detector, pixels = Detector(), scene(0).pixels
    scores = detector.map(pixels)
    assert scores.shape == ((160 - FIELD) // STRIDE + 1, (200 - FIELD) // STRIDE + 1)
    with torch.no_grad():
        crop = torch.from_numpy(pixels[STRIDE * 3 :][:FIELD, STRIDE * 5 :][:, :FIELD].copy())[None]
        assert detector(crop).item() == pytest.approx(scores[3, 5], abs=1e-6)


def test_the_map_in_tiles_is_that_of_the_whole():
    torch.manual_seed(0)
    detector, pixels = Detector(), scene(0, (203, 301)).pixels
    whole = detector.map(pixels, tile=1000)
    assert all(np.abs(detector.map(pixels, tile=tile) - whole).max() <= 1e-6 for tile in (40, 64, 150))


def test_the_same_seed_learns_the_same():
    once, again = (learn([scene(0)], rounds=1, steps=3).map(scene(1).pixels) for _ in range(2))
    assert (once == again).all()


def test_what_it_cannot_learn_from_is_said():
    with pytest.raises(OptionError, match="at least one centre; none came"):
        learn([Scene(scene(0).pixels, np.zeros((0, 2)))])
    with pytest.raises(ShapeError, match=r"a scene is \(H, W, 3\) of at least 40x40 pixels; \(30, 90, 3\) came"):
        Scene(np.zeros((30, 90, 3), np.uint8), np.zeros((0, 2)))
