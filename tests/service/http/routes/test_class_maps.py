"""``/activations?class=…&method=…`` over HTTP: each method of any layer, what it says of itself, and its limits."""

import base64
import hashlib
import io
import shutil

import numpy as np
import onnx
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from models.cards.card import read_card, write_card
from models.cards.catalogue import bundled_repository
from models.explain.methods import METHODS
from service.app import create_app
from service.settings import Settings

APPROXIMATE = [method for method in METHODS if method != "exact"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """mnist-conv; the same without its class map; and one with an operator behind block3 that has no rule."""
    folder = tmp_path_factory.mktemp("explained")
    for name in ("mnist-conv", "headless", "rounded"):
        shutil.copytree(bundled_repository() / "mnist-conv", folder / name)
    for name in ("headless", "rounded"):
        card_path = folder / name / "2" / "card.json"
        card = read_card(card_path)
        model = onnx.load(str(card_path.parent / card.file_name))
        layers = [layer for layer in card.layers if layer.name != "class_map"]
        if name == "rounded":
            round_behind(model.graph, "block3")
        else:
            aside = "block4.aside"  # a layer that is shown, and that nothing depends on
            model.graph.node.append(onnx.helper.make_node("Neg", ["block4"], [aside]))
            layers.append(card.layer("block4").model_copy(update={"name": aside, "tensor": aside, "signed": True}))
        content = model.SerializeToString()
        (card_path.parent / card.file_name).write_bytes(content)
        changed = {"name": name, "class_map": None, "class_bias": [], "layers": layers}
        write_card(card.model_copy(update={**changed, "sha256": hashlib.sha256(content).hexdigest()}), card_path)
    return folder


def round_behind(graph, tensor):
    """Have what reads a tensor read it rounded."""
    place = next(i for i, node in enumerate(graph.node) if tensor in node.output) + 1
    for node in graph.node:
        node.input[:] = [f"{tensor}/round" if name == tensor else name for name in node.input]
    graph.node.insert(place, onnx.helper.make_node("Round", [tensor], [f"{tensor}/round"]))


@pytest.fixture(scope="module")
def service(folder):
    settings = Settings(model_repository=folder, default_model="mnist-conv", device="cpu")
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def seven():
    """A seven of 28 by 28 pixels, drawn."""
    pixels = np.zeros((28, 28), np.uint8)
    pixels[5:8, 7:21] = 230
    for i in range(16):
        pixels[7 + i, 19 - i // 2 : 22 - i // 2] = 230
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def post(client, picture, accept="application/json", **options):
    headers = {"Content-Type": "image/png", "Accept": accept}
    return client.post("/activations", params={"layers": "block4", **options}, content=picture, headers=headers)


def class_map(client, picture, **options):
    answer = post(client, picture, **{"class": "7", **options})
    assert answer.status_code == 200, answer.text
    return answer.json()["class_map"]


def detail(client, picture, status, **options):
    answer = post(client, picture, **options)
    assert answer.status_code == status, answer.text
    return answer.json()["detail"]


@pytest.mark.parametrize("method", APPROXIMATE)
def test_an_approximation_says_its_method_and_its_layer_and_that_it_is_none_the_less(service, seven, method):
    seen = class_map(service, seven, method=method)
    assert (seen["method"], seen["exact"], seen["bias"]) == (method, False, None)
    assert seen["layer"] == (None if method == "occlusion" else "block4")
    assert Image.open(io.BytesIO(base64.b64decode(seen["png"]))).size[0] > 1
    assert seen["high"] > 0
    assert seen["logit"] == pytest.approx(class_map(service, seven)["logit"], abs=1e-4)


def test_the_exact_map_is_the_default_where_there_is_one(service, seven):
    named, unnamed = class_map(service, seven, method="exact"), class_map(service, seven)
    assert named == unnamed
    assert (unnamed["method"], unnamed["exact"], unnamed["layer"]) == ("exact", True, "class_map")
    assert unnamed["mean"] + unnamed["bias"] == pytest.approx(unnamed["logit"], abs=1e-4)


def test_grad_cam_of_the_last_layer_is_the_default_where_there_is_none(service, seven):
    seen = class_map(service, seven, model="headless")
    assert (seen["method"], seen["exact"], seen["layer"]) == ("gradcam", False, "block4")
    assert seen["png"] == class_map(service, seven, method="gradcam")["png"]


def test_a_layer_without_influence_is_passed_over_unless_it_is_named(service, seven):
    for method in ("gradcam", "layercam", "gradcam"):
        assert class_map(service, seven, model="headless", method=method)["layer"] == "block4"
    named = {"model": "headless", "class": "7", "class_layer": "block4.aside"}
    text = detail(service, seven, 422, **named)
    assert "by block4.aside needs an output that depends on it; logits does not; scorecam, occlusion" in text
    assert class_map(service, seven, **named, method="eigencam")["layer"] == "block4.aside"


def test_any_layer_explains_a_class(service, seven):
    for layer in ("stem", "block2", "class_map"):
        assert class_map(service, seven, method="gradcam", class_layer=layer)["layer"] == layer


@pytest.mark.parametrize("method", APPROXIMATE)
def test_the_raw_numbers_are_what_was_drawn(service, seven, method):
    answer = post(service, seven, accept="application/x-npz", **{"class": "7", "method": method})
    with np.load(io.BytesIO(answer.content)) as arrays:
        values = arrays["class:7"]
    seen = class_map(service, seven, method=method)
    assert values.mean() == pytest.approx(seen["mean"], abs=1e-5)
    assert seen["high"] == pytest.approx(np.abs(values).max(), rel=1e-4)
    assert (values.min() < 0) <= (method in ("occlusion", "eigencam"))


def test_the_contact_sheet_is_drawn_with_any_method(service, seven):
    sheets = [post(service, seven, accept="image/png", **{"class": "7", "method": m}).content for m in METHODS]
    assert len({*sheets}) == len(METHODS)


def test_an_operator_without_a_rule_is_named_with_the_methods_that_need_none(service, seven):
    text = detail(service, seven, 422, model="rounded", **{"class": "7", "class_layer": "block3"})
    assert "behind block3; there is none for Round" in text
    assert text.endswith("scorecam, occlusion and eigencam need no gradient")
    for method in ("scorecam", "occlusion", "eigencam"):
        assert class_map(service, seven, model="rounded", method=method)["method"] == method
    assert (
        class_map(service, seven, model="rounded", class_layer="block4")["method"] == "gradcam"
    )  # behind the rounding


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        ({"method": "gradcam"}, 422, "need class; it did not come"),
        ({"class_layer": "stem"}, 422, "need class; it did not come"),
        ({"class": "7", "method": "occlusion", "class_layer": "stem"}, 422, "without any layer; class_layer=stem came"),
        ({"class": "7", "class_layer": "stem"}, 422, "is of class_map; class_layer=stem came"),
        ({"class": "7", "method": "gradcam", "class_layer": "stem9"}, 404, "no layer 'stem9' in mnist-conv"),
        ({"class": "7", "method": "gradcam", "class_layer": "all"}, 404, "no layer 'all' in mnist-conv"),
        ({"class": "seven", "method": "gradcam"}, 404, "no class 'seven'"),
        ({"class": "7", "method": "exact", "model": "headless"}, 422, "has no exact class map; gradcam, layercam"),
        ({"class": "7", "method": "magic"}, 422, "gradcam"),
    ],
)
def test_what_is_impossible_is_said(service, seven, options, status, said):
    assert said in detail(service, seven, status, **options)


@pytest.mark.parametrize("method", ["scorecam", "occlusion"])
def test_too_much_work_is_refused_before_it_is_begun(folder, seven, method):
    card = read_card(folder / "mnist-conv" / "2" / "card.json")
    runs = card.layer("block4").channels if method == "scorecam" else 13 * 13 + 1  # of cells of two pixels
    most = runs * 28 * 28
    for limit, status in ((most, 200), (most - 1, 413)):
        settings = Settings(model_repository=folder, default_model="mnist-conv", device="cpu", max_masked_pixels=limit)
        with TestClient(create_app(settings), raise_server_exceptions=False) as client:
            answer = post(client, seven, **{"class": "7", "method": method})
        assert answer.status_code == status, answer.text
        if status == 413:
            assert f"{limit} pixels (SCS_MAX_MASKED_PIXELS); {runs} pictures of 28x28 have {most}" in answer.text
