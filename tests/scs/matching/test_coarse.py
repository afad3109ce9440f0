import cv2
import numpy as np
import pytest
from skimage import data

from scs.matching import coarse, finding
from scs.matching.arrays import as_picture
from scs.matching.finding import Search, find
from scs.matching.scores import score_map

SCENE = np.hstack([data.camera(), cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2GRAY)])
COLOUR = data.astronaut()


def rendition(template, number):
    """Exact, blurred, or fainter and noisy."""
    noise = np.random.default_rng(number).normal(0, 6, template.shape)
    changed = (template, cv2.GaussianBlur(template, (0, 0), 0.8), 0.8 * template + 20 + noise)[number % 3]
    return np.clip(changed, 0, 255).astype(np.uint8)


def by_whole_maps(monkeypatch, scene, template, search):
    with monkeypatch.context() as patched:
        patched.setattr(coarse, "halvings_for", lambda *_: 0)
        return find(scene, [template], search)


def count_whole_maps(monkeypatch):
    """A list that grows by the templates that are searched for by whole maps."""
    whole, real = [], finding._find_by_maps

    def counted(scene, templates, masks, search):
        whole.extend(templates)
        return real(scene, templates, masks, search)

    monkeypatch.setattr(finding, "_find_by_maps", counted)
    return whole


@pytest.mark.parametrize("method", ["ccoeff_normed", "scs_centred"])
def test_from_coarse_to_fine_finds_what_whole_maps_find(monkeypatch, method):
    rng = np.random.default_rng(3)
    whole = count_whole_maps(monkeypatch)
    fast = 0
    for number in range(12):
        scene = COLOUR if number % 4 == 3 else SCENE
        height, width = rng.integers(24, 120, 2)
        row, column = rng.integers(scene.shape[0] - height), rng.integers(scene.shape[1] - width)
        template = rendition(scene[row : row + height, column : column + width], number)
        whole.clear()
        match = find(scene, [template], Search(method)).matches[0]
        fast += not whole
        expected = by_whole_maps(monkeypatch, scene, template, Search(method)).matches[0]
        assert (match.x, match.y) == pytest.approx((expected.x, expected.y), abs=0.01)
        assert match.score == pytest.approx(expected.score, abs=2e-5)
        assert match.present == expected.present
    assert fast >= 6


def test_several_copies_are_all_found(monkeypatch):
    template = SCENE[100:150, 200:260]
    scene = SCENE.copy()
    for row, column in ((10, 20), (300, 700), (440, 400)):
        scene[row : row + 50, column : column + 60] = template
    found = find(scene, [template], Search(top=6)).matches
    expected = by_whole_maps(monkeypatch, scene, template, Search(top=6)).matches
    present = [(round(match.x, 2), round(match.y, 2)) for match in found if match.present]
    assert sorted(present) == sorted((round(m.x, 2), round(m.y, 2)) for m in expected if m.present)
    assert len(present) == 4


def test_templates_of_any_size_come_back_in_their_order():
    templates = [SCENE[50 + 40 * i : 50 + 40 * i + side, 100:190] for i, side in enumerate((70, 10, 40, 70))]
    found = find(SCENE, templates).matches
    assert sorted(match.template for match in found) == [0, 1, 2, 3]
    for match in found:
        assert match.y - match.height / 2 == pytest.approx(50 + 40 * match.template, abs=0.1)


@pytest.mark.parametrize(
    "options",
    [{"method": "sqdiff"}, {"method": "scs"}, {"polarity": "either"}, {"border": "partial"}, {"top": 40}],
)
def test_other_searches_are_left_to_whole_maps(options):
    scene, template = as_picture("scene", SCENE), as_picture("template", SCENE[:60, :60])
    assert coarse.halvings_for(scene, template, None, Search()) == 2
    assert coarse.halvings_for(scene, template, None, Search(**options)) == 0


def test_small_or_masked_templates_and_other_numbers_are_left_to_whole_maps():
    assert coarse.halvings_for(SCENE, SCENE[:20, :60], None, Search()) == 0
    assert coarse.halvings_for(SCENE, SCENE[:60, :60], np.ones((60, 60)), Search()) == 0
    assert coarse.halvings_for(SCENE.astype(np.float32), SCENE[:60, :60].astype(np.float32), None, Search()) == 0
    assert coarse.halvings_for(SCENE[:200, :200], SCENE[:60, :60], None, Search()) == 0


def test_texture_that_vanishes_when_it_is_shrunk_is_left_to_whole_maps(monkeypatch):
    scene = np.random.default_rng(0).integers(0, 256, (600, 600), dtype=np.uint8)
    whole = count_whole_maps(monkeypatch)
    match = find(scene, [scene[101:165, 203:267]]).matches[0]
    assert len(whole) == 1
    assert (match.x, match.y, match.present) == (pytest.approx(235, abs=0.1), pytest.approx(133, abs=0.1), True)


def test_no_place_above_a_score_is_below_its_bound_at_the_small_scale():
    rng = np.random.default_rng(1)
    scene = as_picture("scene", SCENE)
    small = coarse.halved(coarse.halved(scene))
    checked = 0
    for number in range(20):
        row, column = rng.integers(400), rng.integers(900)
        template = as_picture("template", rendition(SCENE[row : row + 64, column : column + 64], number))
        shrunk = coarse.halved(coarse.halved(template))
        least = coarse.least_coarse_score(template, shrunk, 0.8)
        if least <= 0:
            continue
        coarsely, exactly = score_map(small, shrunk).scores, score_map(scene, template).scores
        around = cv2.dilate(coarsely, np.ones((3, 3), np.uint8))
        rows, columns = np.nonzero(exactly >= 0.8)
        there = around[np.minimum(rows // 4, around.shape[0] - 1), np.minimum(columns // 4, around.shape[1] - 1)]
        assert (there >= least).all()
        checked += rows.size
    assert checked > 50
