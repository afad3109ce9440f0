"""Pictures that are refused, odd or chosen again, and how often the service is asked about one."""

import io
import re

import pytest
from PIL import Image

from tests.service.http.explorer.test_page import drag, expect, open_cat, open_layer


def a_file(content, name="it.jpg", kind="image/jpeg"):
    return {"name": name, "mimeType": kind, "buffer": content}


def test_nothing_of_another_picture_stays_where_a_picture_is_refused(page, cat):
    open_cat(page)
    open_layer(page, "block3")
    expect(page.locator(".bar")).to_have_count(5)
    page.locator("#file").set_input_files(a_file(cat.read_bytes()[:12000]))  # which browsers show as far as it goes
    expect(page.locator("scs-notices[for=answers]")).to_contain_text("the JPEG image is truncated")
    expect(page.locator("scs-notices[for=overview]")).to_contain_text("the JPEG image is truncated")
    for selector in (".bar", ".layer", ".channel", "scs-kernel figure"):
        expect(page.locator(selector)).to_have_count(0)

    page.locator("#file").set_input_files(cat)
    expect(page.locator(".bar")).to_have_count(5)
    expect(page.locator(".channel canvas").first).to_be_visible()
    expect(page.locator("scs-notices[for=answers]")).to_be_empty()


def test_a_file_is_chosen_again_once_it_has_changed(page, tmp_path, cat):
    path = tmp_path / "it.png"
    picture = Image.open(cat)
    for size in ((64, 48), (80, 60)):
        picture.resize(size).save(path)
        page.locator("#file").set_input_files(path)
        expect(page.locator(".surface img")).to_have_attribute(
            "alt", f"The picture it.png, {size[0]} by {size[1]} pixels"
        )
    assert page.locator("#file").input_value() == "", "or the same choice would be no change"


@pytest.mark.parametrize(
    ("mode", "orientation", "size"), [("L", 1, (96, 64)), ("RGBA", 1, (96, 64)), ("RGB", 6, (64, 96))]
)
def test_grey_transparent_and_turned_pictures_have_the_size_that_the_service_has_them_in(
    page, cat, mode, orientation, size
):
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x112] = orientation
    Image.open(cat).resize((96, 64)).convert(mode).save(buffer, "PNG", exif=exif)
    page.locator("#file").set_input_files(a_file(buffer.getvalue(), "it.png", "image/png"))
    expect(page.locator(".surface img")).to_have_attribute("alt", f"The picture it.png, {size[0]} by {size[1]} pixels")
    expect(page.locator(".layer")).not_to_have_count(0)
    columns, rows = (round(side / 4) for side in size)
    expect(page.locator('.layer[data-layer="block4"]')).to_contain_text(f"72 × {rows} × {columns}")


def test_a_box_is_asked_about_once_in_the_pixels_and_first_in_the_layer_that_is_looked_at(page):
    open_cat(page)
    open_layer(page, "block3")
    drag(page, 100, 100, 60, 40)
    page.locator('[data-where="block3"]').click()
    expect(page.locator("scs-finds caption")).to_contain_text("block3")
    page.wait_for_load_state("networkidle")
    asked = []
    page.on("request", lambda request: asked.append(request.url.partition("?")) if request.method == "POST" else None)
    with page.expect_response(lambda answer: "layers=all" in answer.url):
        drag(page, 300, 200, 60, 40)
    page.wait_for_load_state("networkidle")
    routes = [address.rpartition("/")[2] for address, _, _ in asked]
    assert routes == ["activations", "match", "activations"]
    assert "layers=block3" in asked[0][2]


def test_what_is_asked_about_a_box_is_given_up_once_another_is_drawn(page):
    open_cat(page)
    open_layer(page, "block2")
    drag(page, 100, 100, 60, 40)
    page.locator('[data-where="block2"]').click()
    expect(page.locator("scs-finds caption")).to_contain_text("block2")
    held = []  # routes, never answered
    page.route(re.compile("/match"), lambda route: held.append(route))
    with page.expect_request(re.compile("/match")):
        drag(page, 300, 200, 60, 40)
    page.route(re.compile("layers=block2"), lambda route: held.append(route))
    with page.expect_event("requestfailed", lambda request: "/match" in request.url):
        drag(page, 200, 100, 60, 40)
    expect(page.locator("scs-finds table")).to_have_count(0)
