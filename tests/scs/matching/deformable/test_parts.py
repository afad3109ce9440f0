import os
import runpy
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

from scs.errors import OptionError, ShapeError
from scs.matching.deformable.parts import PartsTemplate, parts_map

BENCH = Path(__file__).parents[4] / "bench" / "bbs.py"


def peak(scores):
    return tuple(int(place) for place in np.unravel_index(scores.argmax(), scores.shape))


def near(place, truth, pixels=3):
    return max(abs(a - b) for a, b in zip(place, truth, strict=True)) <= pixels


@pytest.fixture(scope="module")
def scene():
    return skimage.data.astronaut()[::2, ::2]


@pytest.fixture(scope="module")
def bbs():
    return runpy.run_path(str(BENCH))


def test_a_template_is_found_where_it_was_cut_out(scene):
    scores = parts_map(scene, scene[20:60, 90:130])
    assert near(peak(scores), (20, 90))
    assert (scores.shape, scores.dtype) == ((217, 217), np.float32)
    assert scores.min() >= 0 and scores.max() <= 1


def test_a_template_is_found_though_it_was_bent(scene):
    rows, columns = np.mgrid[:256, :256].astype(np.float32)
    bent = cv2.remap(scene, columns + 3 * np.sin(rows / 8), rows + 2 * np.cos(columns / 9), cv2.INTER_LINEAR)
    template = scene[20:70, 90:140]
    assert near(peak(parts_map(bent, template)), (20, 90), 5)
    assert near(peak(parts_map(bent, PartsTemplate.from_box(scene, (90, 20, 50, 50)))), (20, 90), 5)


@pytest.mark.parametrize("kind", [np.uint16, np.float32, np.float64])
def test_the_type_of_the_pixels_makes_no_difference(scene, kind):
    expected = parts_map(scene, scene[20:60, 90:130])
    other = (scene.astype(np.uint16) * 257 if kind is np.uint16 else scene / 255).astype(kind)
    np.testing.assert_allclose(parts_map(other, other[20:60, 90:130]), expected, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 2, 7])
def test_pictures_may_have_any_number_of_channels(scene, channels):
    many = np.concatenate([scene, scene[:, ::-1], scene[::-1]], axis=2)[..., :channels]
    assert near(peak(parts_map(many, many[20:60, 90:130])), (20, 90))


def test_grey_pictures_are_searched_too(scene):
    grey = scene[..., 1]
    np.testing.assert_array_equal(
        parts_map(grey, grey[20:60, 90:130]), parts_map(grey[..., None], grey[20:60, 90:130, None])
    )


def test_a_template_or_a_scene_of_one_colour_scores_nothing_anywhere(scene):
    plain = np.full((256, 256, 3), (10, 200, 30), np.uint8)
    assert not parts_map(scene, plain[:20, :30]).any()
    assert not parts_map(plain, scene[:20, :30]).any()


@pytest.mark.parametrize("size", [(1, 2), (3, 3), (5, 60), (256, 4), (256, 256)])
def test_every_size_of_template_has_finite_scores(scene, size):
    rows, columns = size
    template = PartsTemplate.from_box(scene, (0, 0, columns, rows))
    for one in (template, template.pixels):
        scores = parts_map(scene, one)
        assert scores.shape == (257 - rows, 257 - columns)
        assert np.isfinite(scores).all() and scores.min() >= 0 and scores.max() <= 1


def test_what_stands_around_the_box_competes():
    random = np.random.default_rng(0)
    thing, ground = (cv2.resize(random.integers(0, 255, (8, 8, 3), np.uint8), (24, 24)) for _ in range(2))
    scene = cv2.resize(random.integers(0, 255, (64, 64, 3), np.uint8), (192, 192))
    scene[24:36, 24:48], scene[96:120, 96:120] = thing[:12], ground  # half of the thing here, plain ground there
    reference = np.tile(ground, (6, 6, 1))
    reference[48:60, 48:72] = thing[:12]
    box = PartsTemplate.from_box(reference, (48, 48, 24, 24))
    alone, rivalled = parts_map(scene, box.pixels), parts_map(scene, box)
    assert rivalled[96, 96] / rivalled[24, 24] < 0.8 * alone[96, 96] / alone[24, 24]
    assert near(peak(rivalled), (24, 24))


def test_scores_do_not_depend_on_the_strips_they_are_made_in(scene, monkeypatch):
    whole = parts_map(scene, scene[20:60, 90:130])
    monkeypatch.setattr("scs.matching.deformable.sharing._FLOATS_AT_ONCE", 1)
    np.testing.assert_allclose(parts_map(scene, scene[20:60, 90:130]), whole, atol=1e-5)


@pytest.mark.parametrize("box", [(250, 0, 10, 10), (-1, 0, 10, 10), (0, 0, 0, 10), (0, 250, 5, 7)])
def test_a_box_outside_its_reference_is_refused(scene, box):
    came = ",".join(map(str, box))
    with pytest.raises(OptionError, match=rf"lies inside the reference, 256x256 here; {came} came"):
        PartsTemplate.from_box(scene, box)


def test_a_template_that_does_not_fit_its_scene_is_refused(scene):
    with pytest.raises(
        ShapeError, match="template is 256x31 but scene is 256x30; a template must fit inside its scene"
    ):
        parts_map(scene[:30], scene[:31])
    with pytest.raises(ShapeError, match="template has 1 channels but scene has 3"):
        parts_map(scene, scene[:9, :9, 0])
    with pytest.raises(OptionError, match="one type; uint8 and float64 came"):
        parts_map(scene, scene[:9, :9] / 255)


def test_the_measure_of_the_benchmark_is_the_published_one(bbs):
    overlap, area = bbs["intersection_over_union"], bbs["area_under_curve"]
    assert overlap((0, 0, 2, 2), (1, 1, 2, 2)) == pytest.approx(1 / 7)
    assert overlap((0, 0, 2, 2), (2, 0, 2, 2)) == 0
    assert overlap((5, 5, 4, 8), (5, 5, 4, 8)) == 1
    assert area(np.array([1.0])) == 1
    assert area(np.array([0.0])) == 0
    assert area(np.array([0.5])) == pytest.approx(10 / 20)  # above 0, .05, ... .45, and not above .5 + 1e-6
    assert area(np.array([1.0, 0.0])) == 0.5


@pytest.mark.slow
def test_parts_find_what_they_were_measured_to_find(bbs):
    folder = Path(os.environ.get("SCS_DATA", "/nowhere"), "bbs")
    if not folder.is_dir():
        pytest.skip("needs the Best-Buddies pairs in the folder bbs of the folder that SCS_DATA names")
    frames = bbs["read_frames"](folder)
    for method, least in (("by_parts", 0.62), ("by_parts_with_reference", 0.67)):
        overlaps, _ = bbs["measure"](bbs[method], frames)
        assert bbs["area_under_curve"](overlaps) >= least
