"""The kernel of the open channel in a browser: its drawing is the file's weights, and its numbers are the layer's."""

import json
import re
import urllib.request

import numpy as np
import pytest

from service.colours import colourise, scale_for
from tests.service.http.explorer.test_page import expect, open_cat, open_layer, pixels, place

CHANNEL = 3


def kernel_of(address, model, layer):
    path = f"{address}/models/{model}/kernel?layer={layer}&channel={CHANNEL}"
    with urllib.request.urlopen(path) as answer:
        return json.loads(answer.read())


def number(text, name):
    """The number that follows a name in the text of the page."""
    return float(re.search(rf"{re.escape(name)}:? ?(-?[0-9.]+(?:e-?[0-9]+)?)", text)[1].rstrip("."))


@pytest.mark.parametrize(
    ("model", "layer"), [("cifar10-scs", "stem"), ("cifar10-scs", "block2"), ("cifar10-conv", "stem")]
)
def test_patch_kernel_and_product_are_drawn_and_their_numbers_are_those_of_the_layer(page, address, cat, model, layer):
    page.goto(f"{address}/#model={model}&layer={layer}&channel={CHANNEL}")
    open_cat(page)
    expect(page.locator("scs-kernel")).to_contain_text(f"Channel {CHANNEL} of {layer}")
    page.mouse.move(*place(page, 202, 102))
    expect(page.locator("scs-kernel .formula")).to_contain_text("cosine")

    kernel = kernel_of(address, model, layer)
    weights = np.array(kernel["kernel"], np.float32)
    first = np.argmax(np.linalg.norm(weights.reshape(len(weights), -1), axis=1))
    drawn = page.locator("scs-kernel figure").first.locator("canvas")
    expect(drawn).to_have_count(3)
    scale = scale_for(weights, signed=True)
    wanted = scale.colours[colourise(weights[first], scale)]
    assert np.abs(pixels(drawn.nth(1))[..., :3].astype(int) - wanted).max() <= 8

    text = page.locator("scs-kernel .formula").inner_text()
    assert number(text, "‖k‖ = ") == pytest.approx(np.linalg.norm(weights), rel=0.01)
    cosine = number(text, "s·k = ") / (number(text, "‖s‖ = ") * number(text, "‖k‖ = "))
    assert number(text, "cosine = ") == pytest.approx(cosine, rel=0.02, abs=1e-3)
    shown = number(page.locator("scs-unit .numbers").first.inner_text(), f"channel {CHANNEL} is ")
    if kernel["operator"] == "Conv":
        assert max(0, number(text, "s·k + bias = ")) == pytest.approx(shown, rel=0.01, abs=1e-3)
    else:
        p, q = kernel["p"], kernel["q"]
        norms = (number(text, "‖s‖ = ") + q) * (number(text, "‖k‖ = ") + q)
        own = abs(number(text, "s·k = ")) / norms
        said = re.search(r"With its own p = .* and q = .*: (-?[0-9.e-]+[0-9])\. After", text)[1]
        assert abs(float(said)) == pytest.approx(own**p, rel=0.03)
        assert number(text, "the layer shows ") == pytest.approx(shown, rel=0.01)


def test_p_and_q_of_the_sliders_sharpen_the_cosine_of_the_kernel(page, address):
    page.goto(f"{address}/#model=cifar10-scs&layer=stem&channel={CHANNEL}")
    open_cat(page)
    page.mouse.move(*place(page, 202, 102))
    formula = page.locator("scs-kernel .formula")
    expect(formula).to_contain_text("cosine")
    page.get_by_label("p, the exponent").fill("1")
    expect(formula).to_contain_text("With p = 1 and q = 0 of the sliders")
    text = formula.inner_text()
    assert number(text, "of the sliders") == pytest.approx(number(text, "cosine = "), rel=1e-6)


def test_a_kernel_is_drawn_before_a_place_is_pointed_at(page):
    open_cat(page)
    open_layer(page, "stem")
    figure = page.locator("scs-kernel figure").first
    expect(figure.locator("canvas:not([hidden])")).to_have_count(1)
