import base64
import functools
import io
import json
import re
import subprocess
import sys
import threading
import time
import zipfile

import numpy as np
import pytest
import skimage.data
from fastapi.testclient import TestClient
from PIL import Image

import service.http.routes.match
from service.api.files import MatchUpload, NamedBytes
from service.app import create_app
from service.colours import colourise, scale_for
from tests.service.workers import chores


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def post(client, scene, *templates, masks=(), reference=None, accept="application/json", **options):
    files = [("scene", ("scene.png", scene))]
    files += [("template", (f"part{i}.png", template)) for i, template in enumerate(templates)]
    files += [("mask", ("mask.png", mask)) for mask in masks]
    files += [("reference", ("reference.png", reference))] if reference else []
    return client.post("/match", files=files, params=options, headers={"accept": accept})


def ask(client, *sent, **options):
    answer = post(client, *sent, **options)
    assert answer.status_code == 200, answer.text
    return answer.json()


def best(client, *sent, **options):
    return ask(client, *sent, **options)["matches"][0]


def limited(settings, **changes):
    return TestClient(create_app(settings.model_copy(update=changes)), raise_server_exceptions=False)


@pytest.fixture(scope="module")
def png(photograph, encode):
    return encode(photograph)


@pytest.fixture(scope="module")
def part(photograph, encode):
    """Of the photograph: 80 wide, 60 high, its centre at (160, 130)."""
    return encode(photograph[100:160, 120:200])


@pytest.fixture(scope="module")
def stranger(encode):
    return encode(skimage.data.coffee()[50:110, 50:120])


def test_a_template_is_found_where_it_was_cut_out(client, png, part):
    answer = ask(client, png, part)
    first = answer["matches"][0]

    assert (answer["width"], answer["height"]) == (451, 300)
    (template,) = answer["templates"]
    seen = {"name": "part0.png", "width": 80, "height": 60, "masked": False, "flat": 0.0, "outlined": False}
    assert template == seen
    assert [first["x"], first["y"]] == pytest.approx([160, 130], abs=0.05)
    assert (first["width"], first["height"], first["angle"], first["scale"]) == (80, 60, 0, 1)
    assert np.ravel(first["corners"]) == pytest.approx([120, 100, 200, 100, 200, 160, 120, 160], abs=0.05)
    assert first["score"] == pytest.approx(1, abs=1e-4)
    assert first["present"] and first["explained"] > 0.99 > first["rival"] and first["psr"] > 4
    assert set(answer["timing"]) == {"decode_ms", "match_ms"}
    assert answer["device"] == "cpu"


def test_matches_are_of_every_template_best_first_and_no_more_than_asked_for(client, png, part, stranger):
    matches = ask(client, png, stranger, part, top=2)["matches"]

    assert [match["template"] for match in matches][0] == 1 and matches[0]["name"] == "part1.png"
    assert sorted(match["template"] for match in matches) == [0, 0, 1, 1]
    assert [match["score"] for match in matches] == sorted((match["score"] for match in matches), reverse=True)


def test_a_bank_is_looked_for_in_groups_and_numbered_throughout(client, png, photograph, encode):
    corners = [(20 * i, 30 * i) for i in range(1, 8)]
    bank = [encode(photograph[y : y + 40, x : x + 40]) for y, x in corners]
    found = {match["template"]: match for match in ask(client, png, *bank, top=1)["matches"]}

    assert len(found) == len(bank)
    for number, (y, x) in enumerate(corners):
        assert [found[number]["x"], found[number]["y"]] == pytest.approx([x + 20, y + 20], abs=0.1)


def test_the_options_are_told_as_they_were_asked_for(client, png, part):
    options = {"method": "scs", "p": 3, "q": 5, "top": 2, "threshold": 0.1, "overlap": 0.2}
    told = ask(client, png, part, **options)["options"]
    assert {name: told[name] for name in options} == options
    assert told["angles"] is None


@pytest.mark.parametrize(
    "method", ["sqdiff", "sqdiff_normed", "ccorr_normed", "ccoeff", "ccoeff_normed", "scs", "scs_centred", "parts"]
)
def test_every_method_that_can_finds_it(client, png, part, method):
    found = best(client, png, part, method=method)
    assert [found["x"], found["y"]] == pytest.approx([160, 130], abs=6 if method == "parts" else 0.2)
    assert found["present"]


def test_a_turned_template_is_found_with_its_angle_and_corners(client, png, photograph, encode):
    image = Image.fromarray(photograph)
    turned = image.rotate(-25, center=(250, 150), resample=Image.Resampling.BICUBIC).crop((210, 120, 290, 180))
    found = best(client, png, encode(turned), angles="-40:40")

    assert [found["x"], found["y"]] == pytest.approx([250, 150], abs=1)
    assert found["angle"] == pytest.approx(25, abs=1) and found["present"]
    assert np.mean(found["corners"], axis=0) == pytest.approx([250, 150], abs=1)
    assert found["corners"][0][1] > found["corners"][1][1], "counter-clockwise: its right end is up"


def test_a_smaller_template_is_found_with_its_scale(client, png, photograph, encode):
    small = Image.fromarray(photograph[60:180, 100:260]).resize((80, 60), Image.Resampling.BOX)
    found = best(client, png, encode(small), scales="1:3")
    assert found["scale"] == pytest.approx(2, abs=0.05)
    assert [found["width"], found["height"]] == pytest.approx([160, 120], rel=0.03)


def test_what_is_not_there_is_not_said_to_be(client, png, stranger):
    assert not any(match["present"] for match in ask(client, png, stranger)["matches"])


def test_a_box_in_a_reference_is_looked_for(client, png, photograph, encode):
    mirrored = encode(np.ascontiguousarray(photograph[:, ::-1]))
    for method, near in (("ccoeff_normed", 0.1), ("parts", 6)):
        answer = ask(client, mirrored, reference=mirrored, box="251,100,80,60", method=method)
        assert answer["templates"][0]["name"] == "reference.png"
        first = answer["matches"][0]
        assert [first["x"], first["y"], first["width"]] == pytest.approx([291, 130, 80], abs=near)


def cut_out(photograph):
    """A disc of the photograph on garish ground, and its opacity, transparent outside the disc."""
    rows, columns = np.mgrid[:60, :80]
    inside = ((rows - 29.5) / 29) ** 2 + ((columns - 39.5) / 39) ** 2 < 1
    pixels = np.where(inside[..., None], photograph[100:160, 120:200], np.uint8([255, 0, 255]))
    return pixels, np.where(inside, 255, 0).astype(np.uint8)


def test_what_is_transparent_in_a_template_does_not_count(client, png, photograph, encode):
    pixels, opacity = cut_out(photograph)
    answer = ask(client, png, encode(np.dstack([pixels, opacity])))

    assert answer["templates"][0]["masked"]
    first = answer["matches"][0]
    assert [first["x"], first["y"]] == pytest.approx([160, 130], abs=0.1)
    assert first["score"] == pytest.approx(1, abs=1e-4)
    assert best(client, png, encode(pixels))["score"] < 0.9, "its ground is another"


def test_an_opaque_template_with_an_alpha_channel_has_no_mask(client, png, photograph, encode):
    pixels = photograph[100:160, 120:200]
    opaque = encode(np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)]))
    assert not ask(client, png, opaque)["templates"][0]["masked"]


@pytest.mark.parametrize("kind", ["png", "npy", "npy of booleans"])
def test_a_mask_says_which_pixels_count(client, png, photograph, encode, kind):
    pixels, opacity = cut_out(photograph)
    mask = {"png": encode(opacity), "npy": npy(opacity / 255), "npy of booleans": npy(opacity > 0)}[kind]
    first = best(client, png, encode(pixels), masks=[mask])
    assert [first["x"], first["y"]] == pytest.approx([160, 130], abs=0.1)
    assert first["score"] == pytest.approx(1, abs=1e-4)


def test_a_mask_of_its_own_wins_over_transparency(client, png, photograph, encode):
    pixels, opacity = cut_out(photograph)
    everything = encode(np.full_like(opacity, 255))
    assert best(client, png, encode(np.dstack([pixels, opacity])), masks=[everything])["score"] < 0.9


def test_one_mask_is_for_all_templates_and_several_are_one_each(client, png, photograph, encode):
    pixels, opacity = cut_out(photograph)
    bad, good = encode(np.full_like(opacity, 255)), encode(opacity)
    for masks, masked in (([good], [1, 1]), ([good, bad], [1, 0])):
        matches = ask(client, png, encode(pixels), encode(pixels), masks=masks, top=1)["matches"]
        scores = {match["template"]: match["score"] for match in matches}
        assert [scores[i] > 0.99 for i in (0, 1)] == [bool(each) for each in masked]


def test_grey_pictures_are_matched_in_grey_and_one_in_colour_makes_all_of_them_colour(client, photograph, encode):
    grey = np.asarray(Image.fromarray(photograph).convert("L"))
    scene, part = encode(grey), encode(grey[100:160, 120:200])
    in_colour = encode(np.dstack([grey] * 3))

    assert numbers(client, scene, part) == pytest.approx(numbers(client, in_colour, part), abs=1e-4)
    found = best(client, in_colour, part)
    assert [found["x"], found["y"]] == pytest.approx([160, 130], abs=0.1)


def numbers(client, *sent, **options):
    answer = post(client, *sent, accept="application/x-npy", **options)
    assert answer.status_code == 200, answer.text
    return np.load(io.BytesIO(answer.content))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64", ">f4"])
@pytest.mark.parametrize("channels", [0, 1, 3, 5])
def test_arrays_of_any_channels_are_matched_as_they_are(client, dtype, channels):
    shape = (50, 70) if channels == 0 else (50, 70, channels)
    scene = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    found = best(client, npy(np.asfortranarray(scene)), npy(scene[20:32, 30:45]), top=1)
    assert [found["x"], found["y"]] == pytest.approx([37.5, 26], abs=0.1)


def test_a_grey_array_is_found_in_a_picture_in_colour(client, png, photograph):
    found = best(client, png, npy(photograph[100:160, 120:200].mean(2)))
    assert [found["x"], found["y"]] == pytest.approx([160, 130], abs=1)


def test_a_motif_is_found_in_a_signal(client):
    series = np.random.default_rng(0).normal(size=3000).cumsum()
    answer = ask(client, npy(series), npy(3 * series[1200:1300] - 7))
    assert (answer["width"], answer["height"]) == (3000, 1)
    assert (answer["templates"][0]["width"], answer["templates"][0]["height"]) == (100, 1)
    first = answer["matches"][0]
    assert [first["x"], first["y"]] == pytest.approx([1250, 0.5], abs=0.1)
    assert numbers(client, npy(series), npy(series[1200:1300])).shape == (2901,)


def test_scores_come_as_a_heatmap_and_as_numbers(client, png, part):
    scores = numbers(client, png, part)
    assert scores.shape == (241, 372) and scores.dtype == np.float32
    assert np.unravel_index(scores.argmax(), scores.shape) == (100, 120)

    answer = post(client, png, part, accept="application/zip")
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as both:
        assert np.array_equal(np.load(io.BytesIO(both.read("scores.npy"))), scores)
        assert json.loads(both.read("answer.json"))["matches"] == post(client, png, part).json()["matches"]

    answer = post(client, png, part, accept="image/png")
    assert answer.headers["content-type"] == "image/png"
    image = Image.open(io.BytesIO(answer.content))
    assert image.size == (372, 241)
    assert np.array_equal(np.asarray(image), colourise(scores, scale_for(scores, signed=True)))


def test_the_heatmap_is_of_the_best_template_in_its_pose(client, png, photograph, encode, stranger):
    turned = encode(np.ascontiguousarray(np.rot90(photograph[100:160, 120:200])))  # counter-clockwise
    answer = post(client, png, stranger, turned, angles="-90,0,90", accept="application/x-npz")
    arrays = np.load(io.BytesIO(answer.content))

    assert answer.headers["content-type"] == "application/x-npz"
    assert (arrays["template"], round(float(arrays["angle"])), arrays["scale"]) == (1, -90, 1)
    row, column = np.unravel_index(arrays["scores"].argmax(), arrays["scores"].shape)
    assert (row, column) == pytest.approx((100, 120), abs=2)


def test_of_nothing_found_the_heatmap_is_the_first_templates(client, png, part, stranger):
    assert numbers(client, png, stranger, part, threshold=2).shape == (241, 382)


def test_json_takes_the_same_as_a_form(client, png, part, photograph, encode):
    def text(content):
        return base64.b64encode(content).decode()

    def sent(**body):
        answer = client.post("/match", json=body, params={"top": 1})
        assert answer.status_code == 200, answer.text
        return [[match[key] for key in ("template", "x", "y", "score")] for match in answer.json()["matches"]]

    expected = best(client, png, part, top=1)
    one = sent(scene=text(png), template=text(part))
    assert one == [[0, expected["x"], expected["y"], expected["score"]]]
    assert sorted(sent(scene=text(png), template=[text(part)] * 2)) == [one[0], [1, *one[0][1:]]]
    assert sent(scene=text(npy(photograph)), template=text(part)) == one
    pixels, opacity = cut_out(photograph)
    (masked,) = sent(scene=text(png), template=text(encode(pixels)), mask=text(encode(opacity)))
    assert masked[3] == pytest.approx(1, abs=1e-4)


def test_numbers_near_the_largest_there_are_do_no_harm(client):
    scene = np.random.default_rng(0).random((50, 60)) * 1e300
    sent = npy(scene), npy(scene[20:28, 30:42])
    assert np.isfinite(numbers(client, *sent, method="sqdiff")).all()
    found = best(client, *sent, top=1)
    assert [found["x"], found["y"]] == pytest.approx([36, 24], abs=1)


# What is sent, the options, the status, and words of the sentence that comes back.
REFUSED = {
    "a template larger than its scene": (lambda s, t: (t, s), {}, 422, "template is 451x300 but scene is 80x60"),
    "an unknown method": (lambda s, t: (s, t), {"method": "psnr"}, 422, "there are: sqdiff, "),
    "poses of parts": (lambda s, t: (s, t), {"method": "parts", "angles": "auto"}, 422, "leave out angles"),
    "poses by differences": (lambda s, t: (s, t), {"method": "sqdiff", "angles": "auto"}, 422, "sqdiff"),
    "a box without a reference": (lambda s, t: (s, t), {"box": "1,1,5,5"}, 422, "come together"),
    "a box of three numbers": (lambda s, t: (s, t), {"box": "1,1,5"}, 422, "box"),
    "nothing to look for": (lambda s, t: (s,), {}, 422, "neither came"),
    "a q beyond float32": (lambda s, t: (s, t), {"q": 1e300}, 422, "q: "),
    "a p of nothing": (lambda s, t: (s, t), {"p": 0}, 422, "p: "),
    "a top of nothing": (lambda s, t: (s, t), {"top": 0}, 422, "top: "),
    "a threshold that is no number": (lambda s, t: (s, t), {"threshold": "nan"}, 422, "threshold: "),
    "an option that is none": (lambda s, t: (s, t), {"colour": "red"}, 422, "colour"),
    "angles that are none": (lambda s, t: (s, t), {"angles": "left"}, 422, "left"),
    "angles without end": (lambda s, t: (s, t), {"angles": "0:1e300:1e-300"}, 422, "10000 values"),
    "angles beyond a turn": (lambda s, t: (s, t), {"angles": "-1e9:1e9"}, 422, "between -360 and 360"),
    "scales beyond reason": (lambda s, t: (s, t), {"scales": "0.5:1e9"}, 422, "between 0.05 and 20"),
    "scales of nothing": (lambda s, t: (s, t), {"scales": "0:1"}, 422, "scale"),
    "a scene that is no image": (lambda s, t: (b"hello", t), {}, 415, "scene: an image"),
    "a template that is no image": (lambda s, t: (s, t, b"hello"), {}, 415, "template 2 of 2, 'part1.png': an image"),
    "a scene that is cut off": (lambda s, t: (s[:5000], t), {}, 400, "scene: the PNG image is truncated"),
    "an empty template": (lambda s, t: (s, b""), {}, 400, "no bytes"),
    "a claim of 50,000 x 50,000": (
        lambda s, t: (s[:16] + b"\0\0\xc3\x50" * 2 + s[24:], t),
        {},
        413,
        "at most 16777216 are allowed",
    ),
    "an array with NaN": (
        lambda s, t: (npy(np.full((9, 9), np.nan)), npy(np.ones((3, 3)))),
        {},
        422,
        "scene: the array must hold finite numbers but 81 are not",
    ),
    "an array of complex numbers": (lambda s, t: (s, npy(np.ones((3, 3), complex))), {}, 422, "but holds complex"),
    "an array of objects": (lambda s, t: (s, npy(np.array([[None]]))), {}, 422, "but holds object"),
    "an array of four dimensions": (lambda s, t: (s, npy(np.ones((1, 3, 3, 3)))), {}, 422, "(1, 3, 3, 3)"),
    "an array that is cut off": (lambda s, t: (s, npy(np.ones((9, 9)))[:-1]), {}, 400, "promises 648 bytes"),
    "other channels than the scene's": (lambda s, t: (s, npy(np.ones((5, 5, 4)))), {}, 422, "channels"),
    "a signal in a picture by parts": (lambda s, t: (s, npy(np.ones(5))), {"method": "parts"}, 422, "(5,)"),
    "poses of a signal": (
        lambda s, t: (npy(np.arange(9.0)), npy(np.ones(5))),
        {"angles": "auto"},
        422,
        "a signal is not turned",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_matched_is_refused_with_what_was_needed(client, png, part, name):
    sent, options, status, words = REFUSED[name]
    refused = post(client, *sent(png, part), **options)
    assert refused.status_code == status, refused.text
    assert refused.headers["content-type"] == "application/problem+json"
    assert words in refused.json()["detail"]


@pytest.mark.parametrize(
    "box, words", [("400,250,80,60", "inside the reference, 451x300 here"), ("0,0,0,9", "inside"), ("-1,0,9,9", "-1,0")]
)
def test_a_box_outside_its_reference_is_refused(client, png, box, words):
    refused = post(client, png, reference=png, box=box)
    assert refused.status_code == 422 and words in refused.json()["detail"]


def test_masks_that_do_not_fit_are_refused(client, png, part, encode):
    small, fits = encode(np.ones((5, 5), np.uint8)), encode(np.ones((60, 80), np.uint8))
    negative = npy(np.full((60, 80), -1.0))
    for sent, words in (
        (post(client, png, part, masks=[small]), "template's size"),
        (post(client, png, part, masks=[negative]), "0 or more"),
        (post(client, png, part, part, part, masks=[fits, fits]), "one mask for all of 3 templates"),
        (post(client, png, part, masks=[fits], method="parts"), "takes no mask"),
    ):
        assert sent.status_code == 422 and words in sent.json()["detail"]


def test_a_template_and_a_reference_do_not_go_together(client, png, part):
    refused = post(client, png, part, reference=png, box="0,0,9,9")
    assert refused.status_code == 422 and "both came" in refused.json()["detail"]
    refused = post(client, png, reference=png)
    assert refused.status_code == 422 and "come together" in refused.json()["detail"]


@pytest.mark.parametrize(
    "request_, status, words",
    [
        ({"content": b""}, 400, "an empty one came"),
        ({"content": b"x", "headers": {"content-type": "image/png"}}, 415, "image/png came"),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, 400, "JSON needs to be"),
        ({"json": {"scene": "!", "template": "!"}}, 400, "base64"),
        ({"json": {"template": "aGVsbG8="}}, 400, "scene: field required"),
        ({"files": {"template": b"x"}}, 400, "one scene; none came"),
        ({"files": [("scene", b"x"), ("scene", b"x"), ("template", b"x")]}, 400, "one scene; 2 came"),
        ({"files": {"scene": b"x", "file": b"x"}}, 400, "'file' came"),
        ({"files": {"template": b"x"}, "data": {"scene": "x"}}, 400, "needs to be a file"),
    ],
)
def test_a_body_that_is_no_match_is_refused(client, request_, status, words):
    refused = client.post("/match", **request_)
    assert refused.status_code == status and words in refused.json()["detail"]


def test_too_many_templates_are_refused(settings, png, part):
    with limited(settings, max_templates=2) as client:
        assert post(client, png, part, part).status_code == 200
        refused = post(client, png, part, part, part)
        assert (
            refused.status_code == 413
            and "may have 2 templates (SCS_MAX_TEMPLATES); 3 came" in refused.json()["detail"]
        )


def test_too_many_pixels_are_refused(settings, png, part, photograph):
    with limited(settings, max_match_pixels=100_000) as client:
        for scene in (png, npy(photograph)):
            refused = post(client, scene, part)
            assert refused.status_code == 413 and "100000 are allowed" in refused.json()["detail"]
        assert post(client, part, part).status_code == 200


def test_too_much_work_is_refused_before_it_is_done_with_what_would_be_allowed(
    settings, png, part, monkeypatch, in_threads
):
    most = 5_000_000
    with limited(settings, max_match_work=most) as client:
        assert post(client, png, *[part] * 4).status_code == 200
        monkeypatch.setattr("service.tasks.match.find.decode_pictures", None)  # not called any more
        for sent in ({"angles": "auto"}, {"scales": "0.9:1.1"}):
            refused = post(client, png, part, **sent)
            assert refused.status_code == 413 and f"at most {most} are allowed" in refused.json()["detail"]
        refused = post(client, png, *[part] * 20).json()["detail"]
        assert "this match is estimated at" in refused and re.search(r"a scene of at most \d+ pixels", refused)


@pytest.mark.parametrize(("templates", "masks", "held"), [(16, 16, 117_450_000), (60, 0, 49_410_000)])
def test_small_files_that_decode_to_much_are_refused_before_any_is_decoded(
    settings, encode, monkeypatch, in_threads, templates, masks, held
):
    monkeypatch.setattr("service.tasks.match.find.decode_pictures", None)
    large = encode(Image.new("L", (900, 900), 255))
    with limited(settings, max_match_pixels=1_000_000) as client:
        refused = post(client, large, *[large] * templates, masks=[large] * masks)
    assert refused.status_code == 413
    assert f"take {held} bytes once they are decoded; at most 16000000" in refused.json()["detail"]


def test_more_channels_than_are_compared_are_refused_before_the_array_is_read(settings, monkeypatch, in_threads):
    monkeypatch.setattr("service.tasks.match.find.decode_pictures", None)
    array = npy(np.zeros((1, 1, 4097), np.uint8))
    with limited(settings) as client:
        refused = post(client, array, array)
    assert refused.status_code == 422 and "may have 4096 channels; 4097 came" in refused.json()["detail"]


def test_past_the_deadline_the_answer_is_504_and_the_work_is_over(settings, png, part, monkeypatch, tmp_path):
    work = functools.partial(chores.note_and_wait, str(tmp_path))
    monkeypatch.setattr(service.http.routes.match, "answer_match", work)
    with limited(settings, request_timeout_s=1.0) as client:
        late = post(client, png, *[part] * 12)
        assert late.status_code == 504 and "1 seconds" in late.json()["detail"]
        assert late.headers["content-type"] == "application/problem+json"
        (worker,) = tmp_path.iterdir()
        while chores.is_alive(int(worker.name)):
            time.sleep(0.01)
        monkeypatch.undo()
        assert post(client, png, part).status_code == 200


def test_two_are_matched_at_once_and_the_third_when_one_of_them_is_done(settings, png, part, monkeypatch, tmp_path):
    work = functools.partial(chores.note_and_wait, str(tmp_path))
    monkeypatch.setattr(service.http.routes.match, "answer_match", work)
    with limited(settings) as client:
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(post(client, png, part))) for _ in range(3)]
        for thread in threads:
            thread.start()
        while 'scs_waiting_jobs{kind="heavy"} 1.0' not in client.get("/metrics").text:
            time.sleep(0.01)
        assert len(list(tmp_path.iterdir())) <= 2
        (tmp_path / "go_on").touch()
        for thread in threads:
            thread.join()
        assert [answer.status_code for answer in answers] == [200] * 3


def test_files_that_make_no_match_are_refused_where_they_are_put_together():
    file = NamedBytes("a", b"")
    with pytest.raises(Exception, match="neither"):
        MatchUpload(file)
    with pytest.raises(Exception, match="there may be one mask; 2 came"):
        MatchUpload(file, [file], [file, file])


def test_the_service_starts_without_a_compiler_and_matches_all_the_same():
    code = "import sys, service.app, service.cli.main, service.cli.serve; service.app.create_app(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert loaded.returncode == 0, loaded.stderr
    assert not {"numba", "llvmlite", "cv2"} & {name.partition(".")[0] for name in loaded.stdout.split()}
