"""Pictures of numbers without an agreed range: floats, and heights with holes in them."""

import io

import numpy as np
import pytest
import tifffile

from service.api.files import MatchUpload, NamedBytes
from service.api.match import MatchOptions
from service.settings import Settings
from service.tasks.match.find import find_matches


def tiff(numbers, **options):
    stream = io.BytesIO()
    tifffile.imwrite(stream, numbers, photometric="minisblack", **options)
    return NamedBytes("numbers.tif", stream.getvalue())


def best(scene, template, method="scs"):
    found = find_matches(MatchUpload(scene, [template]), MatchOptions(method=method, top=1), Settings(device="cpu"))
    (match,) = found.matches
    return match


@pytest.fixture(scope="module")
def heights():
    """Hills between 1,000 and 1,700 metres; no part has the range of the whole."""
    rows, columns = np.mgrid[:96, :128]
    rough = np.random.default_rng(0).normal(0, 20, (96, 128))
    return (1000 + 5 * columns + 30 * np.sin(rows / 7) + rough).astype(np.float32)


@pytest.mark.parametrize("method", ["scs", "ccoeff_normed", "sqdiff_normed"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.int32])
def test_a_part_of_a_scene_of_numbers_is_found_as_it_is(heights, method, dtype):
    scene = heights.astype(dtype)
    match = best(tiff(scene), tiff(scene[30:60, 50:90]), method)
    assert (match.x, match.y) == pytest.approx((70, 45), abs=0.1)
    assert match.score == pytest.approx(0 if method == "sqdiff_normed" else 1, abs=1e-3)


@pytest.mark.parametrize("missing", [np.nan, -9999.0])
def test_a_missing_number_is_masked_in_a_template_and_no_trouble_in_a_scene(heights, missing):
    scene = heights.copy()
    scene[5, 5] = missing
    template = heights[30:60, 50:90].copy()
    template[:8, :8] = missing
    match = best(tiff(scene), tiff(template, extratags=[(42113, "s", 0, str(missing), True)]))
    assert (match.x, match.y) == pytest.approx((70, 45), abs=0.1) and match.score > 0.999


def test_a_template_of_floats_is_found_in_a_scene_of_eight_bits(photograph):
    grey = photograph.mean(axis=2).astype(np.uint8)
    match = best(tiff(grey), tiff((grey[100:160, 120:200] / 255).astype(np.float32)))
    assert (match.x, match.y) == pytest.approx((160, 130), abs=0.1) and match.score > 0.999
