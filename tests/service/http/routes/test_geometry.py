"""Every door brings a picture to the network as its card says, and answers in pixels of the picture that was sent."""

import base64
import io
import json

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from service.app import create_app
from service.cli.main import app as scs
from service.settings import Settings
from service.tasks.activations import coordinates
from tests.service.pixel_model import put_pixels

CROP = {"mode": "crop", "shorter_side": 128, "interpolation": "bicubic", "antialias": True}
LETTERBOX = {"mode": "letterbox", "shorter_side": None, "interpolation": "bilinear", "antialias": False, "fill": 114}
STRETCH = {"mode": "stretch", "shorter_side": None, "interpolation": "lanczos", "antialias": True}
WIDTH, HEIGHT = 451, 300
# The crop of 112x112 begins at (40, 8) of 192x128.
CROP_REGION = {
    "x": 40 * 451 / 192,
    "y": 8 * 300 / 128,
    "width": 112 * 451 / 192,
    "height": 112 * 300 / 128,
}
LETTERBOX_REGION = {"x": 0, "y": -16 * 300 / 64, "width": 451, "height": 96 * 300 / 64}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pixels")
    put_pixels(folder, "crop", 112, 112, CROP)
    put_pixels(folder, "letterbox", 96, 96, LETTERBOX)
    put_pixels(folder, "stretch", 80, 60, STRETCH)
    return folder


@pytest.fixture(scope="module")
def client(folder):
    settings = Settings(model_repository=folder, default_model="crop", device="cpu")
    with TestClient(create_app(settings)) as client:
        yield client


@pytest.fixture(scope="module")
def png(photograph, encode):
    return encode(photograph)


@pytest.fixture(scope="module")
def cropped(photograph):
    resized = Image.fromarray(photograph).resize((192, 128), Image.Resampling.BICUBIC)
    return np.asarray(resized.crop((40, 8, 152, 120)))


def ask(client, picture, template=None, model="crop", resize="card", accept="application/json", **options):
    files = [("file", ("a.png", picture))] + ([("template", ("t.png", template))] if template else [])
    params = {"model": model, "resize": resize, **options}
    return client.post("/activations", files=files, params=params, headers={"accept": accept})


def answer(client, picture, template=None, **options):
    came = ask(client, picture, template, **options)
    assert came.status_code == 200, came.text
    return came.json()


def seen_by(client, picture, model):
    """The pixels that a network saw, as its layer shows them."""
    came = ask(client, picture, model=model, channels="0,1,2", accept="application/x-npz")
    return np.load(io.BytesIO(came.content))["pixels"].transpose(1, 2, 0)


def image_of(heatmap):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(heatmap["png"]))).convert("RGB")).astype(int)


def means(predictions):
    return {each["label"]: each["probability"] for each in predictions["classes"]}


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_network_sees_the_crop_of_the_picture_to_the_byte(client, photograph, cropped, encode, kind):
    body = encode(photograph, kind)
    if kind == "JPEG":  # all of its pixels, and no smaller decoding
        resized = Image.open(io.BytesIO(body)).resize((192, 128), Image.Resampling.BICUBIC)
        cropped = np.asarray(resized.crop((40, 8, 152, 120)))
    np.testing.assert_array_equal(seen_by(client, body, "crop"), cropped)


def test_a_network_sees_the_stretched_picture_to_the_byte(client, png, photograph):
    expected = Image.fromarray(photograph).resize((80, 60), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(seen_by(client, png, "stretch"), expected)


def test_a_network_sees_the_picture_in_its_letterbox(client, png):
    seen = seen_by(client, png, "letterbox")
    assert seen.shape == (96, 96, 3)
    assert (seen[:16] == 114).all() and (seen[80:] == 114).all() and (seen[16:80] != 114).any((1, 2)).all()


@pytest.mark.parametrize("model", ["crop", "letterbox", "stretch"])
def test_every_door_sees_the_same(client, png, encode, model):
    pixels = seen_by(client, png, model).astype(np.uint8)
    by_file = client.post("/predict", files={"file": png}, params={"model": model}).json()["predictions"][0]
    by_pixels = client.post("/predict", files={"file": encode(pixels)}, params={"model": model, "resize": "none"})
    assert means(by_file) == means(by_pixels.json()["predictions"][0])
    assert (by_file["width"], by_file["height"]) == (WIDTH, HEIGHT)

    numbers = {"name": "image", "shape": [1, *pixels.shape], "datatype": "UINT8", "data": pixels.ravel().tolist()}
    file = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [base64.b64encode(png).decode()]}
    logits = [
        client.post(f"/v2/models/{model}/infer", content=json.dumps({"inputs": [tensor]})).json()["outputs"][0]["data"]
        for tensor in (numbers, file)
    ]
    assert logits[0] == logits[1] == pytest.approx(pixels.mean((0, 1), dtype=float), rel=1e-5)


def test_a_pile_of_pictures_in_an_array_is_cropped_one_by_one(client, photograph, png):
    pile = io.BytesIO()
    np.save(pile, np.stack([photograph, photograph // 2]))
    first, second = client.post("/predict", files={"file": pile.getvalue()}).json()["predictions"]
    assert means(first) == means(client.post("/predict", files={"file": png}).json()["predictions"][0])
    assert means(first) != means(second)


@pytest.mark.parametrize(
    ("model", "region"),
    [
        ("crop", CROP_REGION),
        ("letterbox", LETTERBOX_REGION),
        ("stretch", {"x": 0, "y": 0, "width": WIDTH, "height": HEIGHT}),
    ],
)
def test_the_answer_says_what_of_the_picture_was_seen(client, png, model, region):
    assert answer(client, png, model=model)["analysed_region"] == pytest.approx(region)
    whole = {"x": 0, "y": 0, "width": WIDTH, "height": HEIGHT}
    assert answer(client, png, model=model, resize="none")["analysed_region"] == whole


@pytest.mark.parametrize("wish", [{"layers": "pixels", "channels": "0"}, {"class": "red"}])
def test_an_overlay_covers_the_crop_and_leaves_the_rest_of_the_picture_grey(client, photograph, png, wish):
    came = answer(client, png, overlay=True, **wish)
    laid = image_of(came["class_map"] or came["layers"][0]["heatmaps"][0])
    assert laid.shape == photograph.shape, "it is the picture that was sent"
    grey = np.asarray(Image.fromarray(photograph).convert("L"))
    coloured = (laid != grey[..., None]).any(-1)
    left, top, right, bottom = 94, 19, 357, 281  # the pixels whose middles lie in the crop
    assert coloured[top:bottom, left:right].all()
    assert coloured.sum() == (right - left) * (bottom - top), "and nothing outside it"


def test_an_overlay_on_a_letterbox_is_the_picture_without_the_padding(client, photograph, png):
    laid = image_of(answer(client, png, model="letterbox", overlay=True, channels="0")["layers"][0]["heatmaps"][0])
    assert laid.shape == photograph.shape
    assert np.ptp(laid, axis=2).max(1).all(), "the heatmap covers all of it"


def test_a_bright_spot_lights_up_where_it_is_in_the_picture(client, encode):
    scene = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    scene[200:220, 300:320] = 255
    for model in ("crop", "letterbox", "stretch"):
        laid = image_of(
            answer(client, encode(scene), model=model, overlay=True, channels="0")["layers"][0]["heatmaps"][0]
        )
        if laid.shape[:2] != (HEIGHT, WIDTH):
            continue  # stretched pictures are shown as they are analysed
        rows, columns = np.nonzero(laid.sum(2) > 400)
        assert rows.mean() == pytest.approx(209.5, abs=2), model
        assert columns.mean() == pytest.approx(309.5, abs=2), model


def test_many_overlays_are_smaller_pictures_of_the_whole(png, monkeypatch, in_threads, folder):
    monkeypatch.setattr(coordinates, "_MOST_OVERLAID", 3 * 45 * 30)  # pixels for three
    with TestClient(create_app(Settings(model_repository=folder, default_model="crop", device="cpu"))) as client:
        maps = answer(client, png, overlay=True, channels="0,1,2")["layers"][0]["heatmaps"]
    shapes = {image_of(each).shape for each in maps}
    assert shapes == {(29, 45, 3)}


@pytest.mark.parametrize("model", ["crop", "letterbox"])
@pytest.mark.parametrize("box", ["200,100,60,50", "94,19,263,262", "300,200,20,30"])
def test_a_box_is_found_where_it_is_in_the_picture_as_sent(client, png, model, box):
    (layer,) = answer(client, png, model=model, box=box)["layers"]
    best = layer["match"]["peaks"][0]
    assert best["score"] == pytest.approx(1, abs=1e-4)
    assert [best[key] for key in ("x", "y", "width", "height")] == pytest.approx(
        [int(n) for n in box.split(",")], abs=0.5
    )


def test_every_place_lies_within_what_the_network_saw_of_the_picture(client, png):
    for model, left, top, right, bottom in [
        ("crop", 93.9, 18.7, 357.1, 281.3),
        ("letterbox", 0, 0, WIDTH, HEIGHT),
    ]:
        (layer,) = answer(client, png, model=model, box="200,100,30,30", peaks=100)["layers"]
        for peak in layer["match"]["peaks"]:
            assert left - 0.1 <= peak["x"] <= right + 0.1 - peak["width"]
            assert top - 0.1 <= peak["y"] <= bottom + 0.1 - peak["height"]


@pytest.mark.parametrize("box", ["0,0,50,50", "90,100,60,50", "200,250,50,40", "92,100,10,10"])
def test_a_box_outside_the_crop_is_one_clear_sentence(client, png, box):
    refused = ask(client, png, box=box)
    assert refused.status_code == 422
    detail = refused.json()["detail"]
    assert detail == f"a box lies inside what the network sees, 94,19,263,262 of the picture's 451x300; {box} came"


def test_a_box_outside_the_picture_is_refused_as_ever(client, png):
    assert "inside the picture, 451x300 here" in ask(client, png, box="400,0,60,50").json()["detail"]


@pytest.mark.parametrize("model", ["crop", "letterbox"])
def test_a_template_is_found_where_it_is_in_the_picture_as_sent(client, png, photograph, encode, model):
    (layer,) = answer(client, png, encode(photograph[100:140, 200:260]), model=model)["layers"]
    best = layer["match"]["peaks"][0]
    assert best["score"] > 0.8
    assert [best["x"], best["y"]] == pytest.approx([200, 100], abs=5)  # a pixel that is seen is some of those sent
    assert [best["width"], best["height"]] == pytest.approx([60, 40], abs=3)


def test_a_template_larger_than_the_crop_is_refused_with_what_is_seen(client, png, photograph, encode):
    refused = ask(client, png, encode(photograph[:, :300]))
    assert refused.status_code == 422
    assert "300x300 but the network sees 94,19,263,262 of the picture's 451x300" in refused.json()["detail"]


@pytest.mark.parametrize("options", [{}, {"overlay": True}, {"box": "200,100,60,50"}])
def test_the_one_picture_of_all_layers_shows_all_of_the_picture(client, png, options):
    came = ask(client, png, accept="image/png", **options)
    sheet = np.asarray(Image.open(io.BytesIO(came.content)).convert("RGB")).astype(int)
    outlined = (np.abs(sheet - (0, 160, 255)).max(-1) < 60).sum()
    assert outlined > 200, "what the network saw is outlined"


def test_arrays_say_where_they_lie_in_the_picture(client, png):
    for model, region in (("crop", CROP_REGION), ("letterbox", LETTERBOX_REGION)):
        came = np.load(io.BytesIO(ask(client, png, model=model, accept="application/x-npz").content))
        assert came["analysed_region"] == pytest.approx([*region.values()])


def test_the_upright_picture_is_cropped(client, photograph, encode, png):
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = encode(np.ascontiguousarray(np.rot90(photograph)), exif=exif)
    np.testing.assert_array_equal(seen_by(client, stored, "crop"), seen_by(client, png, "crop"))


def test_the_command_line_sees_the_same(client, png, folder, tmp_path, capsys):
    path = tmp_path / "a.png"
    path.write_bytes(png)
    shared = [str(path), "--model", "crop", "--repository", str(folder), "--json"]

    scs(["predict", *shared], standalone_mode=False)
    here = json.loads(capsys.readouterr().out)["predictions"][0]
    assert here["classes"] == client.post("/predict", files={"file": png}).json()["predictions"][0]["classes"]

    scs(["activations", *shared, "--resize", "card", "--box", "200,100,60,50"], standalone_mode=False)
    here, there = json.loads(capsys.readouterr().out), answer(client, png, box="200,100,60,50")
    assert here["analysed_region"] == there["analysed_region"]
    assert here["layers"][0]["match"]["peaks"] == there["layers"][0]["match"]["peaks"]
