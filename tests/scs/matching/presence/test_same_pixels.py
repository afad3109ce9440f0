import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw

from scs.matching.finding import Search, find


def widget(kind, back=240, ink=40):
    image = Image.new("L", (20, 20), back)
    draw = ImageDraw.Draw(image)
    draw.rectangle([3, 3, 16, 16], outline=ink)
    if kind == "ticked":
        draw.line([(6, 10), (9, 13), (14, 6)], fill=ink, width=2)
    if kind in "1478":
        draw.text((7, 4), kind, fill=ink)
    return np.asarray(image).copy()


def screen(*widgets):
    scene = np.full((120, 200), 240, np.uint8)
    for number, one in enumerate(widgets):
        row, column = 20 + 30 * (number // 5), 10 + 30 * (number % 5)
        scene[row : row + 20, column : column + 20] = one
    return scene


def present(scene, template, **options):
    matches = find(scene, [template], Search("pixels", top=10, **options)).matches
    return sorted((round(match.x), round(match.y)) for match in matches if match.present)


STATES = [
    (widget("ticked"), widget("empty")),
    (widget("empty"), widget("ticked")),
    (widget("1"), widget("4")),
    (widget("7"), widget("1")),
    (widget("ticked"), widget("ticked", ink=170)),
    (widget("ticked"), widget("ticked", back=40, ink=240)),
]


@pytest.mark.parametrize("state", range(len(STATES)))
def test_a_state_is_told_from_another(state):
    wanted, other = STATES[state]
    assert present(screen(wanted, other, wanted), wanted) == [(20, 30), (80, 30)]
    assert present(screen(other, other, other), wanted) == []


def test_noise_compression_and_a_level_of_light_are_no_difference():
    rng = np.random.default_rng(0)
    scene = screen(widget("ticked"), widget("empty")).astype(np.float64)
    noisy = (scene - 20 + 5 * rng.standard_normal(scene.shape)).clip(0, 255).astype(np.uint8)
    packed = cv2.imdecode(cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, 85])[1], 0)
    assert present(packed, widget("ticked")) == [(20, 30)]
    assert present(packed, widget("empty")) == [(50, 30)]


def test_a_score_is_one_less_the_largest_difference():
    (match,) = find(screen(widget("1")), [widget("1")], Search("pixels")).matches
    assert match.score == pytest.approx(1)
    assert match.explained is None


def test_a_template_of_one_colour_is_found_where_that_colour_is():
    scene = np.random.default_rng(0).integers(0, 255, (80, 80)).astype(np.uint8)
    scene[30:42, 50:62] = 77
    (match,) = find(scene, [np.full((12, 12), 77, np.uint8)], Search("pixels")).matches
    assert (match.x, match.y, match.present) == (56, 36, True)
    bright, dark = np.full((40, 40), 230, np.uint8), np.full((9, 9), 20, np.uint8)
    assert not find(bright, [dark], Search("pixels")).matches[0].present
