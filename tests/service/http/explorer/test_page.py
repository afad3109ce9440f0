"""The explorer in a browser, on the real service: what its reader does, and what is on the screen then."""

import base64
import io
import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.colours import ColourScale, colourise, scale_for

expect = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the extra `test`").expect


def asked(address, path, picture, accept="application/x-npz"):
    """The API's own answer about a picture, which the page has to agree with."""
    headers = {"Accept": accept, "Content-Type": "image/jpeg"}
    request = urllib.request.Request(f"{address}/{path}", picture.read_bytes(), headers)
    with urllib.request.urlopen(request) as answer:
        content = answer.read()
    return json.loads(content) if "json" in accept else dict(np.load(io.BytesIO(content)))


def open_cat(page):
    page.get_by_role("button", name="Cat", exact=True).click()
    expect(page.locator(".layer")).not_to_have_count(0)


def open_layer(page, name):
    page.locator(f'.layer[data-layer="{name}"]').click()
    expect(page.locator(".channel canvas").first).to_be_visible()


def place(page, x, y):
    """A place on the screen, of one in pixels of the cat."""
    page.locator(".surface").scroll_into_view_if_needed()
    area = page.locator(".surface").bounding_box()
    return area["x"] + x * area["width"] / 512, area["y"] + y * area["height"] / 384


def drag(page, x, y, width, height):
    page.mouse.move(*place(page, x + 0.5, y + 0.5))
    page.mouse.down()
    page.mouse.move(*place(page, x + width / 2, y + height / 2))
    page.mouse.move(*place(page, x + width - 0.5, y + height - 0.5))
    page.mouse.up()


def box(page):
    return [page.get_by_label(side, exact=True).input_value() for side in ("x", "y", "width", "height")]


def type_box(page, *numbers):
    for side, number in zip(("x", "y", "width", "height"), numbers, strict=True):
        page.get_by_label(side, exact=True).fill(str(number))
    page.get_by_label("height", exact=True).blur()


def pixels(locator):
    """What is drawn on a canvas, (H, W, 4)."""
    url = locator.evaluate("canvas => canvas.toDataURL()")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGBA"))


def in_colours(values, signed):
    scale = scale_for(values, signed)
    return scale.colours[colourise(values, scale)]


def saved(page, name):
    """What a button of that name downloads."""
    with page.expect_download() as download:
        page.get_by_role("button", name=name, exact=True).click()
    return Path(download.value.path()).read_bytes()


def hash_of(page, pattern):
    """Wait until the address has something."""
    expect(page).to_have_url(re.compile(pattern))
    return page.evaluate("location.hash")


# The picture.


def test_a_picture_is_chosen_dropped_pasted_or_a_sample(page, cat):
    image = page.get_by_role("application").locator("img")
    page.locator("#file").set_input_files(cat)
    expect(image).to_have_attribute("alt", re.compile("cat.jpg, 512 by 384"))
    give = """async ([name, kind, bytes]) => {
        const data = new DataTransfer();
        data.items.add(new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], name, { type: "image/png" }));
        const event = kind === "drop" ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
            : new ClipboardEvent("paste", { clipboardData: data, bubbles: true });
        document.body.dispatchEvent(event);
    }"""
    for width, kind in ((40, "drop"), (50, "paste")):
        buffer = io.BytesIO()
        Image.new("RGB", (width, 30), "teal").save(buffer, "PNG")
        page.evaluate(give, [f"{kind}.png", kind, base64.b64encode(buffer.getvalue()).decode()])
        expect(image).to_have_attribute("alt", re.compile(f"{kind}.png, {width} by 30"))
    page.get_by_role("button", name="Coins").click()
    expect(image).to_have_attribute("alt", re.compile("coins.jpg, 384 by 303"))


def test_what_is_no_picture_is_said_to_be_none(page):
    page.locator("#file").set_input_files({"name": "notes.png", "mimeType": "image/png", "buffer": b"not a picture"})
    expect(page.locator('[data-notice="picture"]')).to_contain_text("notes.png is no picture")


def test_a_digit_is_drawn_by_hand_and_read(page):
    page.get_by_role("button", name="Draw", exact=True).click()
    paper = page.get_by_label("Draw here").bounding_box()
    page.mouse.move(paper["x"] + 140, paper["y"] + 45)
    page.mouse.down()
    page.mouse.move(paper["x"] + 138, paper["y"] + 235, steps=12)
    page.mouse.up()
    page.get_by_role("button", name="Use it").click()
    expect(page.locator(".answer h3")).to_have_text(re.compile("^mnist-"))
    expect(page.locator(".bar").first).to_have_text(re.compile("^1"))


# The answer.


def test_the_answers_of_two_models_stand_side_by_side(page, address, cat):
    open_cat(page)
    page.get_by_label("Beside it").select_option("cifar10-conv")
    expect(page.locator(".answer h3")).to_have_text(["cifar10-scs", "cifar10-conv"])
    for number, model in enumerate(("cifar10-scs", "cifar10-conv")):
        said = asked(address, f"predict?model={model}", cat, "application/json")["predictions"][0]["classes"]
        shown = [f"{each['label']}{100 * each['probability']:.1f}%" for each in said]
        expect(page.locator(".answer").nth(number).locator(".bar")).to_have_text(shown)


# The layers.


def test_every_layer_is_shown_with_its_shape_and_what_it_sees(page, address, cat):
    open_cat(page)
    layers = asked(address, "activations?channels=top1", cat, "application/json")["layers"]
    expect(page.locator(".layer strong")).to_have_text([layer["name"] for layer in layers])
    for number, layer in enumerate(layers):
        size, stride = layer["receptive_field"]["size"], layer["receptive_field"]["stride"]
        shape = " × ".join(map(str, layer["shape"]))
        expect(page.locator(".layer").nth(number)).to_contain_text(f"{shape}sees {size}×{size}, every {stride}")


def test_a_heatmap_on_the_screen_is_the_array_of_the_api(page, address, cat):
    open_cat(page)
    open_layer(page, "block3")
    archive = asked(address, "activations?layers=block3&channels=all", cat)
    for values, channel in zip(archive["block3"], archive["block3.channels"], strict=True):
        shown = pixels(page.locator(f'canvas[data-channel="{channel}"]'))
        assert np.array_equal(shown[..., :3], in_colours(values, signed=True)), channel
    order = archive["block3.channels"][np.argsort(-np.square(archive["block3"]).mean((1, 2)))]
    expect(page.locator(".channel")).to_have_text([str(channel) for channel in order])
    chosen = page.locator('.channel[aria-pressed="true"] canvas')
    assert np.array_equal(pixels(page.locator(".overlay")), pixels(chosen)), "the best one lies over the picture"


def test_scale_sign_opacity_and_threshold_change_without_a_request(page, address, cat):
    open_cat(page)
    open_layer(page, "block3")
    archive = asked(address, "activations?layers=block3&channels=all", cat)
    values, channel = archive["block3"], archive["block3.channels"][3]
    canvas = page.locator(f'canvas[data-channel="{channel}"]')
    sent = []
    page.on("request", lambda request: sent.append(request.url))

    page.get_by_label("Scale of").select_option("layer")
    scale = scale_for(values, signed=True)
    assert np.array_equal(pixels(canvas)[..., :3], scale.colours[colourise(values[3], scale)])
    page.get_by_label("Scale of").select_option("channel")
    page.get_by_label("Values").select_option("true")
    assert np.array_equal(pixels(canvas)[..., :3], in_colours(np.abs(values[3]), signed=False))
    page.get_by_label("Threshold").fill("50")
    clear = np.abs(values[3]) < 0.5 * np.abs(values[3]).max()
    assert np.array_equal(pixels(canvas)[..., 3] == 0, clear)
    page.get_by_label("Opacity").fill("25")
    expect(page.locator(".overlay")).to_have_css("opacity", "0.25")
    assert not [url for url in sent if "activations" in url]


def test_the_receptive_field_of_the_unit_under_the_pointer_is_outlined(page):
    open_cat(page)
    open_layer(page, "block3")  # unit i sees 24 pixels from -10 + 4 i
    page.mouse.move(*place(page, 202, 102))
    field = page.locator(".marks .field")
    expect(field).to_have_attribute("x", "190")
    assert [field.get_attribute(name) for name in ("y", "width", "height")] == ["90", "24", "24"]
    expect(page.locator("scs-unit")).to_contain_text("block3, row 25, column 50")
    assert page.locator("scs-unit canvas").first.evaluate("canvas => [canvas.width, canvas.height]") == [24, 24]


def test_similarity_follows_the_pointer_and_p_and_q_are_those_of_the_formula(page, address, cat):
    open_cat(page)
    open_layer(page, "block3")
    maps = asked(address, "activations?layers=block3&channels=all", cat)["block3"].astype(np.float64)
    features = (maps - maps.mean((1, 2), keepdims=True)).reshape(len(maps), -1)
    norms = np.linalg.norm(features, axis=0)
    unit = 25 * maps.shape[2] + 50

    page.get_by_label("Similarity", exact=True).check()
    page.mouse.move(*place(page, 202, 102))
    for p, q in ((2, 0), (4, 0.5)):
        page.get_by_label("p, the exponent").fill(str(p))
        top = float(page.get_by_label("q, the noise floor").get_attribute("max"))
        page.get_by_label("q, the noise floor").fill(str(q * top))
        page.mouse.move(*place(page, 202, 102))
        floor = float(page.get_by_label("q, the noise floor").input_value())
        dots = features[:, unit] @ features
        cosines = np.abs(dots) / ((norms + floor) * (norms[unit] + floor))
        values = (np.sign(dots) * cosines**p).reshape(maps.shape[1:])
        expect(page.locator("scs-unit")).to_contain_text(f")^{p} = ")
        page.wait_for_timeout(200)
        shown, wanted = pixels(page.locator(".overlay"))[..., :3], in_colours(values, signed=True)
        assert np.abs(shown.astype(int) - wanted).max() <= 8, "single precision may fall on the neighbouring colour"


def test_the_patches_are_shown_that_a_channel_answers_to_most(page, address, cat):
    open_cat(page)
    open_layer(page, "block3")
    archive = asked(address, "activations?layers=block3&channels=top1", cat)
    most = archive["block3"].flat[np.abs(archive["block3"]).argmax()]
    first = page.locator("scs-favourites figcaption").first
    expect(first).to_have_text(f"{float(f'{most:.3g}'):g}")


# The class map.


def test_the_mean_of_a_class_map_plus_the_bias_is_the_logit(page, address, cat):
    open_cat(page)
    page.locator(".bar").first.click()
    said = asked(address, "activations?class=cat&layers=class_map&channels=top1", cat, "application/json")["class_map"]
    numbers = page.locator("scs-classes .numbers")
    expect(numbers).to_contain_text(f"is the logit of cat: {said['logit']:+.3f}".replace("-", "−"))
    expect(numbers).to_contain_text("It is exact")
    values = asked(address, "activations?class=cat&layers=class_map&channels=top1", cat)["class:cat"]
    assert values.mean() == pytest.approx(said["mean"], rel=1e-4)
    assert np.array_equal(pixels(page.locator(".overlay"))[..., :3], in_colours(values, signed=True))


# A box, and where else it occurs.


def test_a_box_is_drawn_and_found_in_the_pixels_and_in_every_layer(page, address, cat):
    open_cat(page)
    drag(page, 150, 115, 75, 60)
    assert box(page) == ["150", "115", "75", "60"]
    places = page.locator(".places button")
    expect(places.locator("strong")).to_have_text(
        ["pixels", "stem", "block1", "block2", "block3", "block4", "class_map"]
    )
    rows = page.locator("scs-finds tbody tr")
    expect(rows.first).to_contain_text("your box")
    expect(rows.first).to_contain_text("187.5, 145.0")
    expect(page.locator("scs-finds")).to_contain_text("5 beside the box itself")
    assert rows.nth(1).locator("td").count() == 5, "with score and evidence"

    places.filter(has_text="block2").click()
    answer = asked(address, "activations?box=150,115,75,60&layers=block2&channels=top1&peaks=6", cat)
    expect(page.locator("scs-finds caption")).to_have_text("Where the box occurs in block2")
    others = [f"{score:.3f}" for *_, score in answer["block2.peaks"].tolist()[1:]]
    expect(rows.locator("td:nth-child(3)")).to_have_text(["1.000", *others])
    limit = answer["block2.peaks"][1, 4]  # of the best beside the box itself
    scale = ColourScale(-limit, limit, signed=True)
    shown = pixels(page.locator(".overlay"))[..., :3]
    assert np.array_equal(shown, scale.colours[colourise(answer["block2.match"], scale)])
    expect(page.locator(".marks .find")).to_have_count(5)
    expect(page.locator(".marks .own")).to_have_count(1)


def test_the_picture_is_sent_once_and_again_where_the_service_has_forgotten_it(page, cat):
    bodies = []
    page.on("request", lambda request: bodies.append((request.url, len(request.post_data_buffer or b""))))
    open_cat(page)
    open_layer(page, "block2")
    expect(page.locator("scs-finds")).to_be_attached()
    bodies.clear()
    type_box(page, 150, 110, 80, 60)
    expect(page.locator("scs-finds").get_by_text("block2").first).to_be_visible()
    page.wait_for_load_state("networkidle")
    asked = [(url, size) for url, size in bodies if "box=" in url]
    assert {("/match" in url, "picture=sha256" in url, size) for url, size in asked} >= {
        (False, True, 0),
        (True, True, 0),
    }
    first = next(url for url, _ in asked if "/activations" in url)
    assert "layers=block2" in first  # the one that is looked at comes first

    bodies.clear()
    forgotten = {"status": 404, "content_type": "application/problem+json", "body": '{"detail": "it is not known"}'}
    page.route(re.compile("picture=sha256"), lambda route: route.fulfill(**forgotten))
    type_box(page, 160, 110, 80, 60)
    page.wait_for_load_state("networkidle")
    expect(page.locator("scs-finds").get_by_text("block2").first).to_be_visible()
    assert any("/activations" in url and size > 1000 for url, size in bodies)


def test_a_box_within_a_box_is_drawn_and_does_not_drag_it(page):
    open_cat(page)
    drag(page, 100, 100, 200, 150)
    drag(page, 150, 120, 40, 30)
    assert box(page) == ["150", "120", "40", "30"]


def test_the_best_place_of_a_map_lies_on_the_picture_where_the_box_was_drawn(page):
    open_cat(page)
    type_box(page, 151, 114, 76, 61)
    for where in ("pixels", "block3"):
        page.locator(f'[data-where="{where}"]').click()
        expect(page.locator("scs-finds caption")).to_contain_text(where)
        values = np.load(io.BytesIO(saved(page, ".npy")))
        row, column = np.unravel_index(values.argmax(), values.shape)
        middle = page.locator(".overlay").evaluate(
            """(canvas, [row, column]) => {
                const map = canvas.getBoundingClientRect(), picture = canvas.parentElement.getBoundingClientRect();
                const x = map.left + ((column + 0.5) * map.width) / canvas.width - picture.left;
                const y = map.top + ((row + 0.5) * map.height) / canvas.height - picture.top;
                return [(x * 512) / picture.width, (y * 384) / picture.height];
            }""",
            [int(row), int(column)],
        )
        assert middle == pytest.approx([151 + 38, 114 + 30.5], abs=0.5 if where == "pixels" else 2.5)


def test_options_of_the_match_are_those_of_the_api_and_so_are_its_refusals(page):
    open_cat(page)
    type_box(page, 150, 115, 75, 60)
    expect(page.locator("scs-finds tbody tr")).to_have_count(6)
    page.get_by_label("Method").select_option("scs_centred")
    page.get_by_label("Most finds").fill("2")
    page.get_by_label("Most finds").blur()
    expect(page.locator("scs-finds tbody tr")).to_have_count(3)
    page.get_by_label("Angles").fill("sideways")
    page.get_by_label("Angles").blur()
    expect(page.locator('[data-notice="pixels"]')).to_contain_text("sideways")


def test_a_box_is_looked_for_in_a_second_picture(page, cat):
    open_cat(page)
    type_box(page, 150, 115, 75, 60)
    mirrored = io.BytesIO()
    Image.open(cat).crop((100, 60, 400, 300)).save(mirrored, "PNG")
    file = {"name": "part.png", "mimeType": "image/png", "buffer": mirrored.getvalue()}
    page.locator("#second").set_input_files(file)
    expect(page.locator("scs-finds tbody tr").first).to_contain_text("87.5, 85.0")
    expect(page.locator("scs-finds")).not_to_contain_text("your box")
    page.get_by_role("button", name="Look in the first again").click()
    expect(page.locator("scs-finds tbody tr").first).to_contain_text("your box")


# Links, copies, downloads.


def test_a_link_brings_the_view_back(page, browser, address):
    open_cat(page)
    open_layer(page, "block2")
    type_box(page, 150, 115, 75, 60)
    page.locator('[data-where="block2"]').click()
    page.get_by_label("Threshold").fill("40")
    link = hash_of(page, "threshold=40")
    assert "where=block2" in link and "picture=" in link and "file=" in link
    again = browser.new_page()
    again.goto(f"{address}/{link}")
    expect(again.locator("scs-finds caption")).to_have_text("Where the box occurs in block2")
    expect(again.get_by_label("Threshold")).to_have_value("40")
    assert box(again) == ["150", "115", "75", "60"]
    expect(again.locator('.layer[aria-pressed="true"] strong')).to_have_text("block2")
    again.close()


def test_a_link_of_another_picture_or_another_file_says_so(page, address, cat):
    page.goto("about:blank")  # so that what follows loads the page anew
    page.goto(f"{address}/#model=cifar10-scs&picture=0123456789abcdef&file=ffffffffffff")
    expect(page.locator('[data-notice="link"]')).to_contain_text("made for the picture 0123456789abcdef")
    expect(page.locator('[data-notice="file"]')).to_contain_text("made for another file of cifar10-scs: ffffffffffff")
    page.locator("#file").set_input_files(cat)
    expect(page.locator('[data-notice="link"]')).to_contain_text("made for another picture: 0123456789abcdef")
    page.goto(f"{address}/#model=cifar10-scs&file=eeeeeeeeeeee")  # in the page that is open
    expect(page.locator('[data-notice="file"]')).to_contain_text("made for another file of cifar10-scs: eeeeeeeeeeee")


def test_the_commands_to_copy_give_what_is_shown(page, address, cat, tmp_path):
    open_cat(page)
    type_box(page, 150, 115, 75, 60)
    expect(page.locator("scs-finds tbody tr").first).to_contain_text("your box")
    score = page.locator("scs-finds tbody tr").nth(1).locator("td").nth(2).inner_text()
    (tmp_path / "cat.jpg").write_bytes(cat.read_bytes())
    page.get_by_role("button", name="Copy curl").click()
    shell = page.evaluate("navigator.clipboard.readText()")
    ran = subprocess.run(["bash", "-ec", shell], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert f'"score":{score}' in ran
    page.get_by_role("button", name="Copy Python").click()
    code = page.evaluate("navigator.clipboard.readText()")
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert f"'score': {score}" in ran


def test_a_map_is_taken_away_as_png_as_numbers_and_as_svg(page, address, cat):
    open_cat(page)
    open_layer(page, "block3")
    values = asked(address, "activations?layers=block3&channels=top1", cat)["block3"][0]

    assert np.array_equal(np.load(io.BytesIO(saved(page, ".npy"))), values)
    drawn = np.asarray(Image.open(io.BytesIO(saved(page, "PNG"))).convert("RGB"))
    assert np.array_equal(drawn, in_colours(values, signed=True))
    svg = saved(page, "SVG").decode()
    assert svg.startswith("<svg") and svg.count("<image") == 2 and 'width="512"' in svg


# Models.


def test_every_model_is_listed_with_its_accuracy_and_opened(page, address):
    rows = page.locator("scs-models tbody tr")
    expect(rows).to_have_count(6)
    expect(rows.filter(has_text="mnist-conv 2")).to_contain_text("98.98% of 10,000, mnist98.76% to 99.16%")
    open_cat(page)
    page.get_by_role("button", name="Open mnist-scs 2").click()
    expect(page.locator(".answer h3")).to_have_text("mnist-scs")
    expect(page.locator("scs-strip")).to_contain_text("mnist-scs 2: 1,226 parameters")
