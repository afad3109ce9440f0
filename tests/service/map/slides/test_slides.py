"""A slide in tiles is the slide as a whole: its scores, its matches and its maps."""

import io
import json
import os

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import skimage.data
import tifffile
import zarr
from PIL import Image

from models.cards.catalogue import bundled_repository, find
from models.runtime.load import load_model
from scs.errors import OptionError
from scs.matching.finding import Search
from scs.matching.finding import find as find_matches
from scs.matching.scores import score_map
from service.api.activations import ActivationOptions
from service.api.files import NamedBytes
from service.api.match import MatchOptions
from service.map.mapping import map_pictures
from service.map.match import MatchTask
from service.map.slides import activations, match
from service.map.slides.activations import SlideActivations
from service.map.slides.match import SlideMatch
from service.map.slides.slide import are_slides, is_slide, open_level
from service.map.slides.task import Look
from service.map.work import finish_part

PLACES = [(190, 300), (196, 128), (20, 622), (345, 31)]  # of the template: two of them where tiles meet


@pytest.fixture(scope="module")
def template() -> np.ndarray:
    noise = cv2.GaussianBlur(np.random.default_rng(0).random((24, 36, 3)), (0, 0), 2)
    return cv2.normalize(noise, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


@pytest.fixture(scope="module")
def pixels(template) -> np.ndarray:
    """A picture ``(401, 663, 3)`` with four templates, and a part that is even but for a little noise."""
    picture = np.tile(skimage.data.astronaut(), (1, 2, 1))[:401, :663].copy()
    picture[100:330, 360:640] = 235 + np.random.default_rng(1).integers(0, 6, (230, 280, 1))
    for row, column in PLACES:
        picture[row : row + 24, column : column + 36] = template
    return picture


@pytest.fixture(scope="module")
def slides(pixels, tmp_path_factory):
    """The picture as a tiled TIFF, as what OpenSlide reads, and as OME-Zarr, each with a level of half the size."""
    folder = tmp_path_factory.mktemp("slides")
    for name, options in (("x.tif", {"compression": "zlib"}), ("x.svs", {})):
        with tifffile.TiffWriter(folder / name) as file:
            for level, kind in ((pixels, 0), (pixels[::2, ::2], 1)):
                file.write(level, tile=(128, 128), photometric="rgb", subfiletype=kind, metadata=None, **options)
    group = zarr.open_group(folder / "x.zarr", mode="w", zarr_format=2)
    for level in (0, 1):
        group.create_array(str(level), data=np.moveaxis(pixels[:: 2**level, :: 2**level], 2, 0), chunks=(3, 100, 100))
    axes = [{"name": axis} for axis in "cyx"]
    group.attrs["multiscales"] = [{"axes": axes, "datasets": [{"path": "0"}, {"path": "1"}]}]
    return folder


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    monkeypatch.setattr(match, "_SIDE", 128)
    monkeypatch.setattr(activations, "_SIDE", 96)


@pytest.fixture
def looked(tmp_path):
    """Do a task in this process; the row of the first slide."""

    def do(task, run):
        for part in run.pending():
            finish_part(task, run, part, list(task.rows(run.listed(run.numbers(part)))))

    def look(task, *inputs) -> dict:
        run = map_pictures("slides", task, [str(each) for each in inputs], tmp_path / "out", do, io.BytesIO(), 1)
        assert not list(run.failures())
        return pq.read_table(tmp_path / "out" / "slides" / "slides.parquet").to_pylist()[0]

    return look


def look_at(tmp_path, level: int = 0, background: int | None = None) -> Look:
    return Look(tmp_path / "out", level, background, max_pixels=100_000)


def searched(settings, template, tmp_path, step=1, level=0, background=None, **options) -> SlideMatch:
    buffer = io.BytesIO()
    Image.fromarray(template).save(buffer, "PNG")
    found = MatchTask.of(settings, [NamedBytes("part.png", buffer.getvalue())], [], MatchOptions(**options))
    return SlideMatch(found, look_at(tmp_path, level, background), step)


@pytest.mark.parametrize("name", ["x.tif", "x.svs", "x.zarr"])
def test_scores_and_matches_in_tiles_are_those_of_the_whole(settings, slides, pixels, template, tmp_path, looked, name):
    assert is_slide(slides / name, 100_000)
    row = looked(searched(settings, template, tmp_path, top=9, threshold=0.4), slides / name)
    maps = zarr.open_array(tmp_path / "out" / row["maps"] / "0", mode="r")[0]
    assert np.abs(maps - score_map(pixels, template).scores).max() <= 1e-5
    whole = find_matches(pixels, [template], Search(top=9, threshold=0.4)).matches
    assert len(row["matches"]) == len(whole) >= 4
    near = lambda each: (round(each["x"], 1), round(each["y"], 1))  # noqa: E731
    assert {near(each) for each in row["matches"]} == {(round(each.x, 1), round(each.y, 1)) for each in whole}
    assert (row["width"], row["height"], row["failed"], row["skipped"]) == (663, 401, 0, 0)
    assert row["tiles"] == 15


@pytest.mark.parametrize("layer", ["stem", "block3", "class_map"])
def test_maps_in_tiles_are_those_of_the_whole(settings, slides, pixels, tmp_path, looked, layer):
    options = ActivationOptions(model="cifar10-scs", layers=layer, channels="1,3,5")
    row = looked(SlideActivations.make(settings, options, None, look_at(tmp_path)), slides / "x.tif")
    entry = find(bundled_repository(), "cifar10-scs")
    whole = load_model(entry.verified_bytes(), entry.card(), "cpu").layers(pixels[None], [layer])[layer][0][[1, 3, 5]]
    maps = zarr.open_array(tmp_path / "out" / row["maps"] / "0", mode="r")[:]
    assert maps.shape == whole.shape
    assert np.abs(maps - whole).max() <= 1e-5 * np.abs(whole).max()


def test_even_tiles_are_skipped_by_the_rule_that_is_asked_for(settings, slides, template, tmp_path, looked):
    row = looked(searched(settings, template, tmp_path, None, background=5, top=9, threshold=0.9), slides / "x.tif")
    assert 0 < row["skipped"] < row["tiles"] and len(row["matches"]) == 4 and row["maps"] is None


def test_matches_are_in_pixels_of_the_largest_level_and_are_geojson(settings, slides, template, tmp_path, looked):
    half = np.ascontiguousarray(template[::2, ::2])
    row = looked(searched(settings, half, tmp_path, None, level=1, top=4, threshold=0.9), slides / "x.tif")
    assert {(round(each["x"] / 4), round(each["y"] / 4)) for each in row["matches"]} <= {
        (round((column + 18) / 4 + d), round((y + 12) / 4 + e))
        for y, column in PLACES
        for d in (-0.5, 0, 0.5)
        for e in (-0.5, 0, 0.5)
    }
    features = json.loads((tmp_path / "out" / row["geojson"]).read_text())["features"]
    assert len(features) == len(row["matches"]) > 0
    (ring,) = features[0]["geometry"]["coordinates"]
    assert ring[0] == ring[4] and len(ring) == 5
    assert ring[2][0] - ring[0][0] == pytest.approx(36) and ring[2][1] - ring[0][1] == pytest.approx(24)
    assert features[0]["properties"]["classification"] == {"name": "part.png"}


def test_maps_are_a_pyramid_of_the_best_scores(settings, slides, pixels, template, tmp_path, looked):
    row = looked(searched(settings, template, tmp_path, step=2), slides / "x.tif")
    group = zarr.open_group(tmp_path / "out" / row["maps"], mode="r")
    (multiscale,) = group.attrs["multiscales"]
    assert [each["path"] for each in multiscale["datasets"]] == ["0", "1"]
    assert multiscale["datasets"][1]["coordinateTransformations"] == [{"type": "scale", "scale": [1, 4.0, 4.0]}]
    scores = score_map(pixels, template).scores
    best = [[scores[y : y + 4, x : x + 4].max() for x in range(0, scores.shape[1], 4)] for y in range(0, 378, 4)]
    assert np.abs(group["1"][0] - np.array(best)).max() <= 1e-5
    assert list(group.attrs["channels"]) == ["part.png"]


def test_a_slide_that_is_cut_off_fails_where_it_is_and_the_others_are_done(settings, slides, template, tmp_path):
    (tmp_path / "x.svs").write_bytes((slides / "x.svs").read_bytes()[:300])
    (tmp_path / "x.tif").write_bytes((slides / "x.tif").read_bytes()[:400_000])
    task = searched(settings, template, tmp_path, None)
    inputs = [str(folder / name) for folder, name in ((tmp_path, "x.svs"), (tmp_path, "x.tif"), (slides, "x.svs"))]
    rows = list(task.rows(enumerate(task.listed(inputs, io.BytesIO(), tmp_path / "out"))))
    errors = {slide: [row.get("error") for row in rows if row["slide"] == slide] for slide in range(3)}
    assert len(errors[0]) == 1 and "a slide that OpenSlide reads was needed" in errors[0][0]
    assert errors[1][0] is None and "the slide is damaged" in errors[1][-1]
    assert len(errors[2]) == 15 and not any(errors[2])


def test_what_is_no_slide_or_cannot_be_asked_of_one_is_refused(settings, slides, template, tmp_path):
    task = searched(settings, template, tmp_path)
    (tmp_path / "x.png").write_bytes(b"")
    with pytest.raises(OptionError, match=r"x\.png is no slide; slides and pictures are two runs"):
        list(task.listed([str(tmp_path / "x.png")], io.BytesIO(), tmp_path))
    with pytest.raises(OptionError, match="has levels 0 to 1; 5 came"):
        open_level(os.fsencode(slides / "x.tif"), 5)
    large = searched(settings, np.zeros((500, 10, 3), np.uint8), tmp_path)
    with pytest.raises(
        OptionError, match=r"template is 10x500 but .*x\.tif is 663x401 at level 0; a template must fit"
    ):
        list(large.listed([str(slides / "x.tif")], io.BytesIO(), tmp_path))
    with pytest.raises(OptionError, match="a slide is searched for upright templates"):
        searched(settings, template, tmp_path, angles="auto")
    for wrong in ({}, {"layers": "stem"}, {"layers": "stem", "channels": "all", "class": "cat"}):
        with pytest.raises(OptionError, match="maps of a slide are of one layer"):
            SlideActivations.make(settings, ActivationOptions.model_validate(wrong), None, look_at(tmp_path))


def test_a_folder_of_scanned_slides_is_one_of_slides(slides, pictures):
    assert are_slides([str(slides)], 10**9) and are_slides([str(slides / "x.zarr")], 10**9)
    assert not are_slides([str(pictures), "-", "missing"], 10**9)
