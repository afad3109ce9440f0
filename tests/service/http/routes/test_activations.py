import base64
import io

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from skimage import data

from service.app import create_app
from service.picture_cache.kept import MapReader
from service.pictures.resize import resize_image
from service.tasks.activations import activate

ORIENTATION = 0x0112
LAYERS = ["stem", "block1", "block2", "class_map"]
STRIDES = {"stem": 1, "block1": 2, "block2": 4, "class_map": 4}
MODELS = ["shapes-scs", "shapes-conv", "shapes-script"]


def post(client, picture, template=None, accept="application/json", **options):
    files = [("file", ("picture.png", picture))] + ([] if template is None else [("template", ("part.png", template))])
    return client.post("/activations", files=files, params=options, headers={"accept": accept})


def ask(client, picture, template=None, **options):
    answer = post(client, picture, template, **options)
    assert answer.status_code == 200, answer.text
    return answer.json()


def layers_of(client, picture, template=None, **options):
    return {layer["name"]: layer for layer in ask(client, picture, template, **options)["layers"]}


def numbers(client, picture, template=None, **options):
    answer = post(client, picture, template, accept="application/x-npz", **options)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-npz"
    return dict(np.load(io.BytesIO(answer.content)))


def image_of(base64_png):
    return Image.open(io.BytesIO(base64.b64decode(base64_png)))


def expected(client, pixels, model="shapes-scs"):
    """Every layer's maps by the runtime itself, of a picture at the size it shall be seen."""
    maps = client.app.state.services.models.get(model).runtime.layers(pixels[None], LAYERS)
    return {name: maps[name][0] for name in LAYERS}


def box_of(peak):
    return [peak[side] for side in ("x", "y", "width", "height")]


@pytest.fixture(scope="module")
def png(photograph, encode):
    return encode(photograph)


@pytest.mark.parametrize("model", MODELS)
def test_every_layer_is_shown_with_the_shape_and_the_receptive_field_of_the_card(client, png, model):
    answer = ask(client, png, model=model)
    card = client.get(f"/models/{model}").json()["card"]

    assert [layer["name"] for layer in answer["layers"]] == LAYERS
    for layer, described in zip(answer["layers"], card["layers"], strict=True):
        stride = described["receptive_field"]["stride"]
        assert layer["shape"] == [described["channels"], 300 // stride, 451 // stride]
        assert layer["receptive_field"] == described["receptive_field"]
        assert layer["signed"] == described["signed"]


def test_the_picture_is_seen_as_it_is_unless_told(client, png):
    answer = ask(client, png)
    assert [answer[side] for side in ("width", "height", "analysed_width", "analysed_height")] == [451, 300, 451, 300]


@pytest.mark.parametrize(("resize", "seen"), [("card", [16, 16]), ("200", [200, 133])])
def test_a_resized_picture_is_told_in_both_sizes(client, png, resize, seen):
    answer = ask(client, png, resize=resize, layers="stem")
    assert [answer[side] for side in ("width", "height")] == [451, 300]
    assert [answer[side] for side in ("analysed_width", "analysed_height")] == seen
    assert answer["layers"][0]["shape"][1:] == seen[::-1]


def test_the_prediction_is_that_of_predict_at_the_same_size(client, png):
    for resize in ("card", "none"):
        prediction = client.post("/predict", content=png, params={"resize": resize}).json()["predictions"][0]
        shares = {each["label"]: each["probability"] for each in prediction["classes"]}
        assert {e["label"]: e["probability"] for e in ask(client, png, resize=resize)["classes"]} == pytest.approx(
            shares
        )


def test_only_the_layers_asked_for_are_shown_in_the_order_asked(client, png):
    assert list(layers_of(client, png, layers="block2,stem,block2")) == ["block2", "stem"]


@pytest.mark.parametrize("model", MODELS)
def test_raw_numbers_are_those_of_the_network(client, photograph, png, model):
    found = numbers(client, png, model=model, channels="all")

    for name, maps in expected(client, photograph, model).items():
        np.testing.assert_allclose(found[name], maps, atol=1e-5)
        assert found[f"{name}.channels"].tolist() == list(range(len(maps)))


def test_raw_numbers_are_of_the_channels_asked_for_only(client, png):
    every, some = numbers(client, png, channels="all"), numbers(client, png, channels="2,0")
    for name in LAYERS:
        assert np.array_equal(some[name], every[name][[2, 0]])
        assert some[f"{name}.channels"].tolist() == [2, 0]


def test_channels_are_ranked_by_their_mean_square(client, photograph, png):
    layers = layers_of(client, png)
    for name, maps in expected(client, photograph).items():
        energies = layers[name]["energies"]
        assert sorted(each["channel"] for each in energies) == list(range(len(maps)))
        assert [each["energy"] for each in energies] == sorted((each["energy"] for each in energies), reverse=True)
        for each in energies:
            squares = np.square(maps[each["channel"]], dtype=np.float64)
            assert each["energy"] == pytest.approx(squares.mean(), rel=1e-4)


@pytest.mark.parametrize(
    ("wish", "chosen"),
    [("top2", None), ("all", list(range(8))), ("0,3", [0, 3]), ("5", [5]), ("3,0,3,00,3", [3, 0])],
)
def test_heatmaps_are_of_the_channels_asked_for(client, png, wish, chosen):
    layer = layers_of(client, png, layers="stem", channels=wish)["stem"]
    best = [each["channel"] for each in layer["energies"][:2]]
    assert [each["channel"] for each in layer["heatmaps"]] == (best if chosen is None else chosen)


@pytest.mark.parametrize("accept", ["application/json", "image/png", "application/x-npz"])
def test_a_channel_named_again_and_again_is_sent_once(client, png, accept):
    once, often = (
        post(client, png, accept=accept, layers="stem", channels=",".join(["0"] * times)) for times in (1, 2000)
    )
    assert often.status_code == 200
    assert abs(len(often.content) - len(once.content)) < 100, "but for the time that it took"


@pytest.fixture
def never_run(monkeypatch):
    """Models whose networks may not be run."""

    def read(*_):
        raise AssertionError("the network was run")

    monkeypatch.setattr(MapReader, "read", read)


@pytest.mark.parametrize("accept", ["application/json", "image/png", "application/x-npz"])
@pytest.mark.parametrize(
    ("most", "options", "words"),
    [
        ({"_MOST_HEATMAPS": 3}, {"layers": "stem", "channels": "top4"}, "3 heatmaps; 4 were asked for"),
        ({"_MOST_HEATMAPS": 35}, {"channels": "all"}, "35 heatmaps; 39 were asked for"),
        ({"_MOST_DRAWN": 1 / 32}, {"layers": "stem", "channels": "0"}, "may have 131072 pixels together"),
        ({"_MOST_DRAWN": 1 / 32}, {"layers": "block2", "overlay": True}, "these would have 541200"),
        ({"_MOST_DRAWN": 1 / 32}, {"layers": "class_map", "channels": "0", "class": "bar"}, "these would have 143756"),
    ],
)
def test_an_answer_that_is_too_large_is_refused_before_the_network_is_run(
    threaded_client, png, monkeypatch, never_run, accept, most, options, words
):
    for name, number in most.items():
        monkeypatch.setattr(activate, name, number)
    refused = post(threaded_client, png, accept=accept, **options)
    assert refused.status_code == 413 and words in refused.json()["detail"]
    assert "name fewer layers or channels" in refused.json()["detail"]


def test_of_several_pictures_none_is_decoded(threaded_client, png, monkeypatch):
    monkeypatch.setattr(activate, "decode", None)  # would raise
    refused = threaded_client.post("/activations", files=[("file", ("a.png", png))] * 2)
    assert refused.status_code == 422 and "one picture; 2 came" in refused.json()["detail"]


def test_asking_for_more_of_the_best_channels_than_there_are_gives_all(client, png):
    assert len(layers_of(client, png, layers="class_map", channels="top999")["class_map"]["heatmaps"]) == 3


def test_a_heatmap_has_a_pixel_for_every_unit(client, png):
    for layer in layers_of(client, png).values():
        for each in layer["heatmaps"]:
            assert image_of(each["png"]).size == tuple(layer["shape"][:0:-1])


def test_an_overlay_has_the_size_of_the_picture(client, png):
    answer = ask(client, png, overlay=True, **{"class": "bar"})
    pictures = [each["png"] for layer in answer["layers"] for each in layer["heatmaps"]] + [answer["class_map"]["png"]]
    assert {image_of(each).size for each in pictures} == {(451, 300)}


@pytest.mark.parametrize("model", MODELS)
def test_the_scale_of_a_heatmap_says_the_limits_of_its_map(client, photograph, png, model):
    layers = layers_of(client, png, model=model, channels="all")
    for name, maps in expected(client, photograph, model).items():
        for each, values in zip(layers[name]["heatmaps"], maps, strict=True):
            if layers[name]["signed"]:
                assert each["low"] == -each["high"]
                assert each["high"] == pytest.approx(abs(values).max(), rel=1e-4)
            else:
                assert each["low"] == 0
                assert each["high"] == pytest.approx(values.max(), rel=1e-4)


def test_maps_of_similarity_are_signed_and_those_after_a_rectifier_are_not(client, png):
    assert [layer["signed"] for layer in ask(client, png)["layers"]] == [True] * 4
    assert [layer["signed"] for layer in ask(client, png, model="shapes-conv")["layers"]] == [False] * 3 + [True]


def test_zero_is_white_and_the_largest_magnitude_has_the_darkest_colour(client, photograph, png):
    (each,) = layers_of(client, png, layers="stem", channels="top1")["stem"]["heatmaps"]
    values = expected(client, photograph)["stem"][each["channel"]]
    colours = np.asarray(image_of(each["png"]).convert("RGB"))

    assert (colours[abs(values) < each["high"] / 1000] == 255).all()
    row, column = np.unravel_index(abs(values).argmax(), values.shape)
    assert colours[row, column].sum() == colours.reshape(-1, 3).sum(1).min()


@pytest.mark.parametrize("resize", ["none", "card", "200"])
@pytest.mark.parametrize("model", MODELS)
def test_the_mean_of_a_class_map_plus_its_bias_is_the_logit(client, png, model, resize):
    for index, label in enumerate(["disc", "bar", "cross"]):
        options = {"model": model, "resize": resize, "class": label, "layers": "stem"}
        seen = ask(client, png, **options)["class_map"]
        values = numbers(client, png, **options)[f"class:{label}"]

        assert (seen["label"], seen["index"]) == (label, index)
        assert seen["mean"] + seen["bias"] == pytest.approx(seen["logit"], abs=1e-4)
        assert values.mean(dtype=np.float64) == pytest.approx(seen["mean"], abs=1e-6)
        assert image_of(seen["png"]).size == values.shape[::-1]


def test_logits_of_class_maps_are_those_of_the_prediction(client, png):
    answer = ask(client, png)
    logits = [ask(client, png, layers="stem", **{"class": c["label"]})["class_map"]["logit"] for c in answer["classes"]]
    shares = np.exp(logits) / np.exp(logits).sum()
    assert shares.tolist() == pytest.approx([each["probability"] for each in answer["classes"]], abs=1e-5)


def test_without_a_class_or_a_template_there_is_no_map_and_no_match(client, png):
    answer = ask(client, png)
    assert answer["class_map"] is None
    assert {layer["match"] for layer in answer["layers"]} == {None}


@pytest.mark.parametrize("accept", ["image/png", "text/html, image/png;q=0.9, */*;q=0.1"])
@pytest.mark.parametrize(
    "options",
    [{}, {"overlay": True}, {"class": "bar", "box": "100,80,60,50"}, {"model": "shapes-conv"}, {"resize": "card"}],
    ids=str,
)
def test_one_picture_of_all_layers_is_given_to_who_accepts_it(client, png, accept, options):
    answer = post(client, png, accept=accept, **options)

    assert answer.headers["content-type"] == "image/png"
    picture = Image.open(io.BytesIO(answer.content))
    picture.load()
    assert min(picture.size) > 200
    assert len(np.unique(np.asarray(picture.convert("L")))) > 50


@pytest.mark.parametrize("accept", ["*/*", "text/html", "application/json, image/png", ""])
def test_others_are_given_json(client, png, accept):
    assert post(client, png, accept=accept, layers="class_map").headers["content-type"] == "application/json"


@pytest.mark.parametrize("resize", ["none", "200", "card"])
@pytest.mark.parametrize(
    "box", [(100, 80, 60, 50), (0, 0, 41, 37), (390, 251, 61, 49), (33, 7, 9, 11), (0, 0, 451, 300)]
)
def test_a_box_is_found_first_where_it_is_in_pixels_of_the_picture_as_sent(client, png, box, resize):
    for name, layer in layers_of(client, png, box=",".join(map(str, box)), resize=resize).items():
        best = layer["match"]["peaks"][0]
        assert best["score"] == pytest.approx(1, abs=1e-4), name
        assert box_of(best) == pytest.approx(box, abs=1e-6), name


@pytest.mark.parametrize("model", MODELS)
def test_a_box_is_found_in_the_layers_of_every_model(client, png, model):
    for layer in layers_of(client, png, box="100,80,60,50", model=model).values():
        best = layer["match"]["peaks"][0]
        assert best["score"] == pytest.approx(1, abs=1e-4)
        assert box_of(best) == pytest.approx([100, 80, 60, 50])


@pytest.mark.parametrize("resize", ["none", "200"])
def test_a_box_is_meant_in_the_upright_picture(client, photograph, png, encode, resize):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    stored = encode(np.ascontiguousarray(np.rot90(photograph)), exif=exif)
    options = {"box": "100,80,60,50", "resize": resize}

    assert layers_of(client, stored, **options) == layers_of(client, png, **options)


@pytest.mark.parametrize("resize", ["none", "200", "card"])
@pytest.mark.parametrize("box", ["0,0,60,50", "101,83,61,47", "391,250,60,50"])
def test_every_place_that_is_named_lies_within_the_picture(client, png, box, resize):
    for layer in layers_of(client, png, box=box, resize=resize, peaks=30).values():
        for peak in layer["match"]["peaks"]:
            assert peak["x"] >= -1e-6
            assert peak["y"] >= -1e-6
            assert peak["x"] + peak["width"] <= 451 + 1e-6
            assert peak["y"] + peak["height"] <= 300 + 1e-6


def test_what_is_there_twice_is_found_twice(client, photograph, encode):
    scene = np.full((200, 320, 3), 128, np.uint8)
    for x in (40, 240):
        scene[100:148, x : x + 48] = photograph[100:148, 160:208]
    for layer in layers_of(client, encode(scene), box="40,100,48,48").values():
        first, second = layer["match"]["peaks"][:2]
        assert sorted([first["x"], second["x"]]) == pytest.approx([40, 240])
        assert second["score"] == pytest.approx(1, abs=1e-4)


def test_no_more_places_are_named_than_were_asked_for(client, png):
    for count in (1, 3):
        layers = layers_of(client, png, box="100,80,60,50", peaks=count)
        assert {len(layer["match"]["peaks"]) for layer in layers.values()} == {count}


def test_the_heatmap_of_a_match_is_its_scores(client, png):
    layers = layers_of(client, png, box="100,80,60,50")
    scores = numbers(client, png, box="100,80,60,50")
    for name, layer in layers.items():
        found = layer["match"]
        assert image_of(found["png"]).size == scores[f"{name}.match"].shape[::-1]
        assert found["high"] == -found["low"] == pytest.approx(abs(scores[f"{name}.match"]).max())
        assert found["peaks"][0]["score"] == pytest.approx(scores[f"{name}.match"].max())


@pytest.mark.parametrize("corner", [(100, 80), (101, 83), (203, 122), (0, 0), (391, 250)])
@pytest.mark.parametrize("model", MODELS)
def test_a_template_cut_from_the_picture_is_found_where_it_was_cut(client, photograph, png, encode, corner, model):
    x, y = corner
    template = encode(photograph[y : y + 50, x : x + 60])
    layers = layers_of(client, png, template, model=model)
    scores = numbers(client, png, template, model=model)
    for name in ("stem", "block1"):
        best = layers[name]["match"]["peaks"][0]
        stride, near = STRIDES[name], STRIDES[name] + 2
        rows, columns = (slice(max(0, (at - near) // stride), (at + near) // stride + 1) for at in (y, x))
        # Where a network sees nothing, other places are as good.
        tied = np.partition(scores[f"{name}.match"], -2, axis=None)[-2] > best["score"] - 1e-6
        assert tied or [best["x"], best["y"]] == pytest.approx([x, y], abs=near), name
        assert scores[f"{name}.match"][rows, columns].max() == pytest.approx(best["score"], abs=2e-4), name
        assert [best["width"], best["height"]] == [60, 50]
    assert layers["stem"]["match"]["peaks"][0]["score"] == pytest.approx(1, abs=1e-4)


def test_a_template_is_found_in_every_layer_where_it_stands_on_the_grid(client, photograph, png, encode):
    template = encode(photograph[80:160, 100:196])
    for name, layer in layers_of(client, png, template).items():
        best = layer["match"]["peaks"][0]
        assert [best["x"], best["y"]] == pytest.approx([100, 80], abs=STRIDES[name] + 2), name
        assert best["score"] > 0.9, name


def test_a_template_is_scaled_as_its_picture_is(client, photograph, png, encode):
    template = encode(photograph[80:180, 100:220])
    for name in ("stem", "block1"):
        best = layers_of(client, png, template, resize="225")[name]["match"]["peaks"][0]
        assert [best["x"], best["y"]] == pytest.approx([100, 80], abs=2 * STRIDES[name] + 4), name
        assert [best["width"], best["height"]] == pytest.approx([120, 100], abs=3)


def test_a_template_may_be_as_large_as_its_picture(client, png):
    for layer in layers_of(client, png, png).values():
        (only,) = layer["match"]["peaks"]
        assert box_of(only) == [0, 0, 451, 300]
        assert only["score"] == pytest.approx(1, abs=1e-4)


def test_a_template_in_json_is_the_same_as_in_a_form(client, photograph, png, encode):
    template = encode(photograph[80:130, 100:160])
    body = {"images": [base64.b64encode(png).decode()], "template": base64.b64encode(template).decode()}
    assert client.post("/activations", json=body).json()["layers"] == ask(client, png, template)["layers"]


def test_a_blank_template_has_no_place(client, photograph, encode):
    blank = np.zeros((64, 64, 3), np.uint8)
    scene = encode(np.concatenate([photograph[:64, :64], blank]))
    for layer in layers_of(client, scene, encode(blank)).values():
        for peak in layer["match"]["peaks"]:
            assert -1 <= peak["score"] <= 1


REFUSED = {
    "an unknown layer": ({"layers": "stem,block9"}, 404, ["no layer 'block9'", "stem, block1, block2, class_map"]),
    "no layer": ({"layers": ""}, 404, ["no layer ''"]),
    "an unknown class": ({"class": "cat"}, 404, ["no class 'cat'", "disc, bar, cross"]),
    "an unknown channel": ({"channels": "0,8", "layers": "stem"}, 404, ["no channel 8 in stem; there are 8"]),
    "an unknown model": ({"model": "cat"}, 404, ["no model 'cat'"]),
    "channels that are neither": ({"channels": "best"}, 422, ["channels", "'best' came"]),
    "an unknown option": ({"layer": "stem"}, 422, ["there is no option layer; /docs lists those"]),
    "no peaks": ({"peaks": 0}, 422, ["peaks"]),
    "a box that is none": ({"box": "1,2,3"}, 422, ["box", "'1,2,3' came"]),
    "a box beyond the right edge": ({"box": "400,0,60,50"}, 422, ["451x300", "400,0,60,50 came"]),
    "a box beyond the lower edge": ({"box": "0,260,60,50"}, 422, ["451x300"]),
    "a box that begins outside": ({"box": "-1,0,60,50"}, 422, ["451x300"]),
    "a box without area": ({"box": "10,10,0,50"}, 422, ["451x300"]),
}


@pytest.mark.parametrize(("options", "status", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_there_is_refused_with_what_there_is(client, png, options, status, words):
    refused = post(client, png, **options)

    assert refused.status_code == status
    assert refused.headers["content-type"] == "application/problem+json"
    for word in words:
        assert word in refused.json()["detail"]


@pytest.mark.parametrize("size", [(452, 10), (10, 301), (500, 400)])
def test_a_template_larger_than_the_picture_is_refused_with_both_sizes(client, png, encode, size):
    refused = post(client, png, encode(np.zeros((*size[::-1], 3), np.uint8)))
    assert refused.status_code == 422
    assert f"template is {size[0]}x{size[1]} but the picture is 451x300" in refused.json()["detail"]


def test_a_template_too_small_for_the_network_is_refused_with_both_sizes(client, png, encode):
    refused = post(client, png, encode(np.zeros((2, 9, 3), np.uint8)))
    assert refused.status_code == 422
    assert "needs 4 pixels on a side; picture 'template' is 9x2" in refused.json()["detail"]


def test_a_template_and_a_box_together_are_refused(client, png):
    refused = post(client, png, png, box="0,0,9,9")
    assert refused.status_code == 422
    assert "a template or a box; both came" in refused.json()["detail"]


def test_two_pictures_are_refused(client, png):
    refused = client.post("/activations", files=[("file", png), ("file", png)])
    assert refused.status_code == 422
    assert "one picture; 2 came" in refused.json()["detail"]


def test_a_photograph_of_1024_by_768_gives_dense_maps(client, encode):
    photograph = resize_image(data.astronaut(), (1024, 768))
    answer = ask(client, encode(photograph, "JPEG"), channels="top1", **{"class": "disc"})

    for layer in answer["layers"]:
        stride = STRIDES[layer["name"]]
        assert layer["shape"][1:] == [768 // stride, 1024 // stride]
    assert answer["class_map"]["mean"] + answer["class_map"]["bias"] == pytest.approx(
        answer["class_map"]["logit"], abs=1e-4
    )


def test_a_picture_too_large_to_be_analysed_is_refused_with_what_can_be_done(settings, png):
    with TestClient(create_app(settings.model_copy(update={"max_analysed_pixels": 10_000}))) as client:
        refused = post(client, png)
        assert refused.status_code == 413
        assert "at most 10000 are allowed" in refused.json()["detail"]
        assert "resize=" in refused.json()["detail"]
        assert post(client, png, resize="100").status_code == 200


def test_an_archive_names_the_places_that_json_names(client, png):
    boxed = {"box": "120,60,64,48", "layers": "stem,block1", "peaks": 3}
    named, archive = layers_of(client, png, **boxed), numbers(client, png, **boxed)
    for layer in ("stem", "block1"):
        peaks = named[layer]["match"]["peaks"]
        assert len(peaks) == 3
        assert archive[f"{layer}.peaks"].tolist() == [[*box_of(peak), peak["score"]] for peak in peaks]
