"""What a run writes of a picture is what the command for one picture says of it."""

import io

import numpy as np
import pyarrow.dataset
import pytest
import skimage.data
import zarr
from PIL import Image

from scs.errors import OptionError, UnknownNameError
from service.api.activations import ActivationOptions
from service.api.files import MatchUpload, NamedBytes, Upload
from service.api.match import MatchOptions
from service.api.predict import PredictOptions
from service.cli.local_models import open_model
from service.map.activations import ActivationsTask
from service.map.match import MatchTask
from service.map.pictures import Numbered
from service.map.predict import PredictTask
from service.map.task import schema_of
from service.pictures.npy import to_npy
from service.settings import without_limits
from service.tasks.activations.activate import activate
from service.tasks.activations.answer import to_arrays
from service.tasks.match.answer import to_match_response
from service.tasks.match.find import find_matches

from .conftest import MODEL


def as_png(pixels: np.ndarray, name: str = "scene.png") -> NamedBytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return NamedBytes(name, buffer.getvalue())


@pytest.fixture(scope="module")
def scene() -> NamedBytes:
    return as_png(skimage.data.chelsea()[:120, :160])


@pytest.fixture(scope="module")
def template() -> NamedBytes:
    return as_png(skimage.data.chelsea()[40:70, 60:100], "part.png")


BROKEN = NamedBytes("broken.png", b"no picture")


def rows_of(task, *files: NamedBytes) -> list[dict]:
    """The rows of a task as they are read again from a run's parts."""
    rows = list(task.answer([Numbered(number, file) for number, file in enumerate(files)]))
    return pyarrow.Table.from_pylist(rows, schema_of(task)).to_pylist()


def test_matches_are_those_of_scs_match(settings, scene, template):
    task = MatchTask.of(settings, [template], [], MatchOptions(top=2))
    found, broken = rows_of(task, scene, BROKEN)
    expected = to_match_response(find_matches(MatchUpload(scene, [template]), task.options, without_limits(settings)))
    assert found["present"] and (found["width"], found["height"], found["error"]) == (160, 120, None)
    assert found["matches"] == [each.model_dump(exclude={"corners"}) for each in expected.matches]
    assert broken["matches"] is None and "the bytes do not begin like one" in broken["error"]


def test_matches_in_a_network_are_made_by_the_model_that_is_named(settings, scene, template):
    task = MatchTask.of(settings, [template], [], MatchOptions(method="features", model=MODEL))
    (found,) = rows_of(task, scene)
    best = found["matches"][0]
    assert (best["x"], best["y"]) == pytest.approx((80, 55), abs=3)


@pytest.mark.parametrize("form", ["npz", "zarr"])
def test_maps_are_those_of_scs_activations(settings, scene, template, tmp_path, form):
    options = ActivationOptions.model_validate({"model": MODEL, "class": "cat", "layers": "stem,class_map"})
    task = ActivationsTask.of(settings, template, options, tmp_path, form)
    found, broken = rows_of(task, scene, BROKEN)
    seen = activate(open_model(settings, MODEL, None), Upload([scene], template), options, settings)
    expected = to_arrays(seen)
    if form == "npz":
        maps = dict(np.load(tmp_path / found["maps"]))
    else:
        maps = {name: array[:] for name, array in zarr.open_group(tmp_path / found["maps"], mode="r").arrays()}
    assert maps.keys() == expected.keys() and "class:cat" in maps
    assert all(np.array_equal(maps[name], expected[name]) for name in maps)
    assert [each["name"] for each in found["layers"]] == ["stem", "class_map"]
    assert [tuple(peak.values()) for peak in found["layers"][0]["peaks"]] == [*map(tuple, expected["stem.peaks"])]
    assert found["class_map"]["logit"] == pytest.approx(seen.class_map.logit)
    assert broken["maps"] is None and broken["error"]


def test_every_picture_of_an_array_has_a_row(settings, scene):
    task = PredictTask.of(settings, PredictOptions(model=MODEL, top_k=1, partial=True))
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    array = NamedBytes("x.npy", to_npy(pixels), is_npy=True)
    rows = rows_of(task, array, BROKEN, scene)
    names = {(row["number"], row["name"]) for row in rows}
    assert names == {(0, "x.npy[0]"), (0, "x.npy[1]"), (0, "x.npy[2]"), (1, "broken.png"), (2, "scene.png")}


def test_what_no_picture_could_be_asked_is_refused_at_once(settings, template, tmp_path):
    for wrong in ({"class": "no"}, {"layers": "no"}, {"channels": "9999"}, {"model": "no"}):
        with pytest.raises(UnknownNameError, match="^no "):
            ActivationsTask.of(settings, None, ActivationOptions.model_validate(wrong), tmp_path, "npz")
    with pytest.raises(OptionError, match="no method 'no'"):
        MatchTask.of(settings, [template], [], MatchOptions(method="no"))
    with pytest.raises(OptionError, match="neither came"):
        MatchTask.of(settings, [], [], MatchOptions())
