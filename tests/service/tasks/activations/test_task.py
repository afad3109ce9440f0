"""The task of /activations as a worker does it, in every form, and by every method that explains a class."""

import io
import json
import zipfile

import numpy as np
import pytest
import skimage.data
from PIL import Image

from models.cards.catalogue import bundled_repository, find
from models.explain.methods import BY_GRADIENT
from scs.errors import OptionError, UnknownNameError
from service.api.activations import ActivationOptions
from service.api.files import NamedBytes, Upload
from service.repository.loader import load_entry
from service.settings import Settings
from service.tasks.activations.activate import activate
from service.tasks.activations.task import FORMS, JSON

SETTINGS = Settings(device="cpu")


@pytest.fixture(scope="module")
def network():
    return load_entry(find(bundled_repository(), "cifar10-conv"), "cpu", False)


@pytest.fixture(scope="module")
def cat():
    encoded = io.BytesIO()
    Image.fromarray(skimage.data.chelsea()[::4, ::4]).save(encoded, "PNG")
    return NamedBytes("cat.png", encoded.getvalue())


def seen(network, *files, **options):
    wanted = ActivationOptions.model_validate(options)
    return activate(network, Upload([files[0]], *files[1:]), wanted, SETTINGS)


@pytest.mark.parametrize("method", ["exact", "gradcam", "layercam", "scorecam", "occlusion", "eigencam"])
def test_a_class_is_explained_by_each_method_and_says_which(network, cat, method):
    found = seen(network, cat, **{"class": "cat", "method": method, "layers": "stem", "resize": "32"})
    explained = found.class_map
    assert (explained.method, explained.label, explained.is_exact) == (method, "cat", method == "exact")
    assert np.isfinite(explained.values).all() and np.ptp(explained.values) > 0
    if method == "exact":
        assert explained.values.mean() + explained.bias == pytest.approx(explained.logit, abs=1e-4)
    if method in BY_GRADIENT:
        assert explained.layer in {layer.name for layer in network.card.layers} and explained.values.min() >= 0


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"method": "gradcam"}, "need class"),
        ({"class": "cat", "method": "occlusion", "class_layer": "stem"}, "without any layer"),
        ({"class": "cat", "method": "exact", "class_layer": "stem"}, "is of class_map"),
    ],
)
def test_what_does_not_go_together_is_one_sentence(network, cat, options, reason):
    with pytest.raises(OptionError, match=reason):
        seen(network, cat, **options)
    with pytest.raises(UnknownNameError, match="no class 'unicorn'"):
        seen(network, cat, **{"class": "unicorn"})


def without_pictures(answer):
    if isinstance(answer, list):
        return [without_pictures(each) for each in answer]
    if isinstance(answer, dict):
        return {key: "" if key == "png" else without_pictures(each) for key, each in answer.items()}
    return answer


@pytest.mark.parametrize("overlay", [False, True])
def test_every_form_tells_of_the_same_maps(network, cat, overlay):
    found = seen(network, cat, **{"class": "cat", "layers": "stem,block2", "channels": "top2", "box": "20,10,30,30"})
    written = {form: write(found, overlay) for form, write in FORMS.items()}
    answer = json.loads(written[JSON])
    arrays = np.load(io.BytesIO(written["application/x-npz"]))
    for layer in answer["layers"]:
        assert [each["channel"] for each in layer["heatmaps"]] == arrays[f"{layer['name']}.channels"].tolist()
        places = [[peak[key] for key in ("x", "y", "width", "height", "score")] for peak in layer["match"]["peaks"]]
        np.testing.assert_allclose(places, arrays[f"{layer['name']}.peaks"], rtol=1e-5)
    assert answer["class_map"]["mean"] == pytest.approx(float(arrays["class:cat"].mean()), abs=1e-5)
    with zipfile.ZipFile(io.BytesIO(written["application/zip"])) as both:
        assert {f"{name}.npy" for name in arrays} | {"answer.json"} == set(both.namelist())
        assert json.loads(both.read("answer.json")) == without_pictures(answer)
    sheet = Image.open(io.BytesIO(written["image/png"]))
    assert sheet.width > 200 and sheet.height > 200


def test_a_template_from_a_file_is_found_where_it_was(network, cat):
    encoded = io.BytesIO()
    Image.fromarray(np.array(Image.open(io.BytesIO(cat.content)))[20:52, 40:72]).save(encoded, "PNG")
    found = seen(network, cat, NamedBytes("part.png", encoded.getvalue()), layers="block1")
    (box, score), *_ = found.layers[0].match.peaks
    assert (box.x, box.y) == pytest.approx((40, 20), abs=4) and score > 0.5
