import base64
import dataclasses
import io
import struct
import threading
import zlib

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from skimage import data

from service.api.files import NamedBytes, Upload
from service.api.predict import PredictOptions
from service.app import create_app
from service.cli.local_models import predict_here
from service.inference.event_loop import SMALL_FILE_BYTES
from service.pictures import decode
from service.pictures.decode import decode_image
from service.pictures.header import open_picture
from service.pictures.resize import resize_image
from service.repository.loader import LoadedModel
from service.tasks.ranking import rank, softmax

ORIENTATION = 0x0112
TURNED = {  # EXIF orientation to what a camera stores of an upright picture
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: np.rot90(upright, 2).transpose(1, 0, 2),
    8: lambda upright: np.rot90(upright, -1),
}


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def ask(client, body, kind="image/png", **options):
    answer = client.post("/predict", content=body, headers={"content-type": kind}, params=options)
    assert answer.status_code == 200, answer.text
    return answer.json()


def classes_of(client, body, kind="image/png", **options):
    (prediction,) = ask(client, body, kind, **options)["predictions"]
    return prediction["classes"]


def probabilities(classes):
    return [each["probability"] for each in sorted(classes, key=lambda each: each["index"])]


def expected(client, pixels, model="shapes-scs"):
    """Probabilities by the runtime itself, of a picture at the size it shall be seen."""
    (logits,) = client.app.state.services.models.get(model).runtime.logits(pixels[None])
    return pytest.approx(softmax(logits.tolist()), abs=1e-6)


def test_a_photograph_sent_as_it_is_gets_its_classes_best_first(client, jpeg):
    answer = ask(client, jpeg, "image/jpeg")

    assert (answer["model"], answer["version"]) == ("shapes-scs", 1)
    (prediction,) = answer["predictions"]
    assert (prediction["width"], prediction["height"]) == (451, 300)
    assert {each["label"] for each in prediction["classes"]} == {"disc", "bar", "cross"}
    shares = [each["probability"] for each in prediction["classes"]]
    assert shares == sorted(shares, reverse=True)


def test_what_was_learned_is_recognised(client, encode, shapes):
    files = [("file", (f"{i}.png", encode(image))) for i, image in enumerate(shapes.test_images[:60])]
    predictions = client.post("/predict", files=files).json()["predictions"]

    right = [p["classes"][0]["index"] == label for p, label in zip(predictions, shapes.test_labels, strict=False)]
    assert np.mean(right) > 0.6  # a third is chance


def test_probabilities_are_those_of_the_network_on_the_decoded_pixels(client, photograph, encode):
    small = resize_image(photograph, (16, 16))
    assert probabilities(classes_of(client, encode(photograph))) == expected(client, small)


def test_probabilities_of_all_classes_sum_to_one(client, jpeg):
    assert sum(probabilities(classes_of(client, jpeg, "image/jpeg", top_k=1000))) == pytest.approx(1)


def test_every_way_to_send_a_picture_gives_the_same_answer(client, photograph, encode):
    png = encode(photograph)
    classes = classes_of(client, png)
    form = client.post("/predict", files={"file": ("cat.png", png, "image/png")}).json()
    json = client.post("/predict", json={"images": [base64.b64encode(png).decode()]}).json()
    typeless = client.post("/predict", content=png).json()

    assert classes_of(client, npy(photograph), "application/x-npy") == classes
    assert classes_of(client, png, "application/octet-stream") == classes
    assert classes_of(client, png, "IMAGE/PNG; charset=binary") == classes
    for answer in (form, json, typeless):
        assert [each["classes"] for each in answer["predictions"]] == [classes]


def test_many_pictures_keep_their_order_and_their_names(client, encode):
    pictures = {"cat.png": data.chelsea(), "coffee.png": data.coffee(), "woman.png": data.astronaut()}
    files = [("file", (name, encode(pixels), "image/png")) for name, pixels in pictures.items()]
    predictions = client.post("/predict", files=files).json()["predictions"]

    assert [each["name"] for each in predictions] == list(pictures)
    for each, pixels in zip(predictions, pictures.values(), strict=True):
        assert (each["width"], each["height"]) == pixels.shape[1::-1]
        assert probabilities(each["classes"]) == expected(client, resize_image(pixels, (16, 16)))


def test_pictures_in_json_are_numbered(client, encode):
    pictures = [data.chelsea(), data.coffee()]
    answer = client.post("/predict", json={"images": [base64.b64encode(encode(p)).decode() for p in pictures]}).json()
    assert [each["name"] for each in answer["predictions"]] == ["0", "1"]


@pytest.mark.parametrize("count", [1, 3])
def test_an_array_of_pictures_is_a_batch(client, shapes, count):
    images = shapes.test_images[:count]
    predictions = ask(client, npy(images), "application/x-npy")["predictions"]

    assert [each["name"] for each in predictions] == (["0"] if count == 1 else ["0[0]", "0[1]", "0[2]"])
    for each, image in zip(predictions, images, strict=True):
        assert probabilities(each["classes"]) == expected(client, image)


def test_a_form_may_mix_images_and_arrays_of_any_size(client, photograph, shapes, encode):
    files = [
        ("file", ("cat.png", encode(photograph), "image/png")),
        ("file", ("two.npy", npy(shapes.test_images[:2]), "application/x-npy")),
    ]
    predictions = client.post("/predict", files=files, params={"resize": "none"}).json()["predictions"]

    assert [each["name"] for each in predictions] == ["cat.png", "two.npy[0]", "two.npy[1]"]
    for each, pixels in zip(predictions, [photograph, *shapes.test_images[:2]], strict=True):
        assert probabilities(each["classes"]) == expected(client, pixels)


def grey():
    return Image.fromarray(data.camera()), np.repeat(data.camera()[..., None], 3, 2)


def rgba():
    return Image.fromarray(data.astronaut()).convert("RGBA"), data.astronaut()


def sixteen_bit():
    return Image.fromarray(data.camera().astype(np.uint16) * 257), np.repeat(data.camera()[..., None], 3, 2)


def palette():
    picture = Image.fromarray(data.coffee()).quantize(64)
    return picture, np.asarray(picture.convert("RGB"))


def cmyk():
    picture = Image.fromarray(data.coffee()).convert("CMYK")
    return picture, np.asarray(picture.convert("RGB"))


@pytest.mark.parametrize("kind", [grey, rgba, sixteen_bit, palette, cmyk], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("resize", ["card", "none"])
def test_any_kind_of_pixel_is_predicted_as_the_same_picture_in_rgb(client, encode, kind, resize):
    picture, rgb = kind()
    body = encode(picture, "TIFF" if kind is cmyk else "PNG")
    assert classes_of(client, body, resize=resize) == classes_of(client, encode(rgb), resize=resize)


@pytest.mark.parametrize("resize", ["card", "none", "100"])
@pytest.mark.parametrize("orientation", TURNED)
def test_a_picture_stored_on_its_side_is_predicted_as_if_upright(client, photograph, encode, orientation, resize):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    stored = encode(np.ascontiguousarray(TURNED[orientation](photograph)), exif=exif)

    (turned,) = ask(client, stored, resize=resize)["predictions"]
    (upright,) = ask(client, encode(photograph), resize=resize)["predictions"]

    assert turned == upright


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (7, 300), (300, 7), (1024, 768)])
def test_pictures_of_any_size_are_resized_as_the_card_says(client, photograph, encode, size):
    pixels = resize_image(photograph, size)
    assert probabilities(classes_of(client, encode(pixels))) == expected(client, resize_image(pixels, (16, 16)))


def test_resize_none_takes_the_picture_as_it_is(client, photograph, encode):
    assert probabilities(classes_of(client, encode(photograph), resize="none")) == expected(client, photograph)


def test_resize_with_a_number_sets_the_longer_side(client, photograph, encode):
    seen = resize_image(photograph, (64, 43))  # of 451 x 300
    assert probabilities(classes_of(client, encode(photograph), resize=64)) == expected(client, seen)


def test_a_jpeg_is_predicted_as_its_pixels_are(client, jpeg):
    pixels = decode_image(jpeg, channels=3, max_pixels=10**6).pixels
    assert probabilities(classes_of(client, jpeg, "image/jpeg", resize="none")) == expected(client, pixels)


def test_top_k_names_that_many_of_the_best(client, jpeg):
    every = classes_of(client, jpeg, "image/jpeg")
    assert classes_of(client, jpeg, "image/jpeg", top_k=2) == every[:2]
    assert classes_of(client, jpeg, "image/jpeg", top_k=1) == every[:1]


def test_the_model_and_version_named_are_those_that_answer(client, photograph, encode):
    answer = ask(client, encode(photograph), model="shapes-conv", version=1)

    assert (answer["model"], answer["version"]) == ("shapes-conv", 1)
    small = resize_image(photograph, (16, 16))
    assert probabilities(answer["predictions"][0]["classes"]) == expected(client, small, "shapes-conv")


def test_time_spent_is_told_and_is_not_negative(client, jpeg):
    timing = ask(client, jpeg, "image/jpeg")["timing"]
    assert timing["decode_ms"] >= 0
    assert timing["inference_ms"] > 0


def test_a_picture_too_small_for_the_network_is_refused_with_both_sizes(client, encode):
    files = {"file": ("dot.png", encode(np.zeros((9, 3, 3), np.uint8)))}
    refused = client.post("/predict", files=files, params={"resize": "none"})

    assert refused.status_code == 422
    assert refused.json()["detail"] == "the network needs 4 pixels on a side; picture 'dot.png' is 3x9"


def test_a_picture_too_large_for_the_network_is_refused_with_what_can_be_done(settings, jpeg):
    strict = settings.model_copy(update={"max_analysed_pixels": 10_000})
    with TestClient(create_app(strict)) as client:
        refused = client.post("/predict", content=jpeg, params={"resize": "none"})
        taken = client.post("/predict", content=jpeg, params={"resize": "100"})

    assert refused.status_code == 413
    assert "451x300" in refused.json()["detail"] and "at most 10000 are allowed" in refused.json()["detail"]
    assert "resize=" in refused.json()["detail"]
    assert taken.status_code == 200


class Watched:
    """A runtime that notes how many pictures it is given at a time."""

    device, concurrent_runs = "cpu", 1

    def __init__(self, runtime):
        self.runtime, self.batches = runtime, []

    def logits(self, images):
        self.batches.append(len(images))
        return self.runtime.logits(images)


def test_pictures_of_one_size_share_batches_of_no_more_pixels_than_one_picture_may_have(client, settings, shapes):
    model = client.app.state.services.models.get()
    watched = Watched(model.runtime)
    strict = settings.model_copy(update={"max_analysed_pixels": 4 * 16 * 16})
    images = shapes.test_images[:10]

    answer = predict_here(
        LoadedModel(model.card, watched), Upload([NamedBytes("ten", npy(images), True)]), PredictOptions(), strict
    )

    assert watched.batches == [4, 4, 2]
    for each, image in zip(answer.predictions, images, strict=True):
        assert probabilities([dataclasses.asdict(one) for one in each.classes]) == expected(client, image)


def test_softmax_survives_logits_that_are_far_apart():
    assert softmax([1000.0, 0.0, -1000.0]) == [1, 0, 0]


def test_of_equally_probable_classes_the_first_is_named_first(client):
    card = client.app.state.services.models.get().card.model_copy(update={"labels": ["a", "b", "c"]})
    ranked = rank(np.zeros(3, np.float32), card, 2)
    assert [(each.label, each.index) for each in ranked] == [("a", 0), ("b", 1)]
    assert ranked[0].probability == pytest.approx(1 / 3)


def test_a_large_form_needs_no_disk(client, encode, monkeypatch, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (900, 900, 3), dtype=np.uint8)
    picture = encode(noise)
    assert len(picture) > 2 * 2**20
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "is not there"))
    assert client.post("/predict", files=[("file", ("noise.png", picture))] * 2).status_code == 200


def big_tile(side: int) -> bytes:
    """A grey TIFF of 16x16 pixels in one tile of ``side`` by ``side``, compressed."""
    content = zlib.compress(bytes(side * side))
    tags = [(256, 16), (257, 16), (258, 8), (259, 8), (262, 1), (277, 1), (322, side), (323, side), (324, 8)]
    tags.append((325, len(content)))
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(content)) + content + directory + bytes(4)


@pytest.mark.parametrize(
    ("files", "on_loop"),
    [
        ([(16, "PNG", {})], True),
        ([(16, "PNG", {})] * 4, True),
        ([(16, "PNG", {})] * 5, False),
        ([(200, "PNG", {})], False),
        ([(100, "JPEG", {"progressive": True})], True),
        ([(200, "JPEG", {"progressive": True})], False),
        ([(200, "GIF", {})], False),
        ([(200, "WEBP", {"lossless": True})], False),
        ([(16, "TIFF", {})], False),
        ([(200, "TIFF", {"compression": "tiff_deflate"})], False),
        ([big_tile(128)], False),
        ([big_tile(1024)], False),
    ],
)
def test_only_what_is_small_by_its_tags_is_opened_on_the_event_loop(client, encode, monkeypatch, files, on_loop):
    opened = []

    def noted(*args, **options):
        image = open_picture(*args, **options)
        opened.append(threading.get_ident())
        return image

    monkeypatch.setattr(decode, "open_picture", noted)
    monkeypatch.setattr(decode, "decode_plain_png", lambda *_: None)
    monkeypatch.setattr(decode, "decode_plain_jpeg", lambda *_: None)
    sent = [
        file if isinstance(file, bytes) else encode(Image.new("L", (file[0],) * 2), file[1], **file[2])
        for file in files
    ]
    assert sum(map(len, sent)) <= SMALL_FILE_BYTES
    answer = client.post("/predict", files=[("file", file) for file in sent])
    assert answer.status_code == 200, answer.text
    assert set(opened) == ({client.portal.call(threading.get_ident)} if on_loop else set()), "else a worker opens it"
