"""What the explorer shows of a model beside its figures: what it takes for what, and the graph of its layers."""

import json
import shutil
import urllib.request

import pytest

from models.cards.catalogue import bundled_repository
from models.imports.importing import import_network
from models.imports.original import read_original
from models.imports.wish import Wish
from models.imports.write import write
from service.app import create_app
from tests.models.imports.networks import Residual, export, seeded
from tests.service.http.explorer.test_everybody import AXE, SCHEMES

expect = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the extra `test`").expect


@pytest.fixture(scope="module")
def address(serve, tmp_path_factory):
    """The service with a bundled network, and an imported one that has skip connections."""
    repository = tmp_path_factory.mktemp("models")
    shutil.copytree(bundled_repository() / "cifar10-scs", repository / "cifar10-scs")
    wish = Wish(labels=[f"class {i}" for i in range(5)], preprocess="0-1")
    original = read_original(export(seeded(Residual), tmp_path_factory.mktemp("original") / "net.onnx"))
    write(import_network(original, wish, "residual", 1), repository)
    with serve(SCS_MODEL_REPOSITORY=str(repository), SCS_DEFAULT_MODEL="cifar10-scs") as url:
        yield url


def answer(address, path):
    with urllib.request.urlopen(f"{address}/{path}") as response:
        return json.load(response)


def opened(page, part):
    """Open a part of the view of models."""
    page.locator(f"{part} summary").click()
    return page.locator(part)


def strength(cell):
    """How far a cell's colour is from that of the page, as the sum over red, green and blue."""
    canvas = """cell => {
        const context = new OffscreenCanvas(1, 1).getContext("2d");
        const pixel = (element) => {
            context.fillStyle = getComputedStyle(element).backgroundColor;
            context.fillRect(0, 0, 1, 1);
            return [...context.getImageData(0, 0, 1, 1).data];
        };
        const [a, b] = [cell, cell.closest("section")].map(pixel);
        return a.reduce((sum, value, place) => sum + Math.abs(value - b[place]), 0);
    }"""
    return cell.evaluate(canvas)


def test_what_a_model_takes_for_what_is_a_table_of_the_cards_counts(page, address):
    card = answer(address, "models/cifar10-scs")["card"]
    table = opened(page, "scs-confusion").get_by_role("table")
    expect(table.get_by_role("columnheader")).to_have_text(card["labels"])
    expect(table.get_by_role("rowheader")).to_have_text(card["labels"])
    expect(table.locator("caption")).to_contain_text("Images of cifar10, by their true class (rows)")
    cells = table.locator("tbody td")
    shown = [int(text.replace(",", "")) for text in cells.all_text_contents()]
    assert shown == [count for row in card["accuracy"]["confusion"] for count in row]
    expect(table.locator(".right")).to_have_count(len(card["labels"]))

    cat, dog, truck = (card["labels"].index(label) for label in ("cat", "dog", "truck"))
    count = card["accuracy"]["confusion"][cat][dog]
    expect(cells.nth(10 * cat + dog)).to_have_attribute("title", f"{count} of 1,000 images of cat were put into dog")
    assert (
        strength(cells.nth(10 * cat + cat))
        > strength(cells.nth(10 * cat + dog))
        > strength(cells.nth(10 * cat + truck))
    )


def test_the_graph_of_a_model_is_drawn_and_listed_once_somebody_opens_it(page, address):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    expect(page.locator("scs-graph summary")).to_have_text("How the layers of cifar10-scs 2 depend on one another")
    assert not [url for url in asked if "/graph" in url]
    graph = answer(address, "models/cifar10-scs/graph")
    shown = opened(page, "scs-graph")
    names = [node["name"] for node in graph["nodes"]]
    expect(shown.locator(".network .name")).to_have_text(names)
    expect(shown.locator(".network .way")).to_have_count(len(names) - 1)
    expect(shown.locator(".network .skip")).to_have_count(0)
    expect(shown.get_by_role("rowheader")).to_have_text(names)
    rows = shown.locator("tbody tr")
    for place, edge in enumerate(graph["edges"], start=1):
        node = graph["nodes"][place]
        expect(rows.nth(place)).to_contain_text(" × ".join(map(str, node["shape"])) + f"{node['parameters']:,}")
        expect(rows.nth(place).locator("li")).to_have_text(" → ".join([names[edge["source"]], *edge["operators"]]))


def test_skip_connections_are_drawn_beside_the_line_of_layers(page):
    opened(page, "scs-graph")
    page.get_by_role("button", name="Open residual 1").click()
    drawing = page.get_by_role("img", name="The graph of residual 1")
    expect(drawing.locator(".joined")).to_have_text(["add", "add"])
    skips = drawing.locator("g:has(.skip)")
    expect(skips).to_have_text(["", "Conv", "5 operators"])
    for number in range(3):  # it starts right of the boxes, and ends lower than it starts
        way, line = (
            skips.nth(number).locator(".skip").bounding_box(),
            drawing.locator(".node-layer").first.bounding_box(),
        )
        assert way["x"] + way["width"] > line["x"] + line["width"]
        assert way["height"] > line["height"]
    listed = page.locator("scs-graph tbody tr").filter(has=page.get_by_role("rowheader", name="Add 1"))
    expect(listed.locator("li")).to_have_text(["stem.1 → Conv → Relu → Conv → Add", "stem.1 → Add"])
    expect(page.locator("scs-confusion")).to_have_text(
        "What residual 1 takes for what: its card has no confusion matrix."
    )


def test_a_graph_that_is_refused_is_refused_in_the_words_of_the_api(page):
    page.route("**/graph?*", lambda route: route.continue_(url=route.request.url.replace("version=2", "version=9")))
    opened(page, "scs-graph")
    expect(page.locator("#models-section .failure")).to_have_text("no version 9 of cifar10-scs; there are: 2")


@pytest.mark.skipif(not AXE.exists(), reason="needs axe-core: npm ci")
@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing_wrong_with_either_and_a_phone_does_not_scroll_sideways(browser, address, scheme):
    context = browser.new_context(viewport={"width": 360, "height": 740}, color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto(f"{address}/")
    opened(page, "scs-confusion")
    expect(opened(page, "scs-graph").locator(".network")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    page.add_script_tag(path=AXE)
    found = page.evaluate("axe.run('#models-section').then((result) => result.violations)")
    assert not [(each["id"], [node["html"][:120] for node in each["nodes"]]) for each in found]
    context.close()


def test_where_no_model_is_served_the_page_says_so(serve_app, browser, settings, tmp_path):
    none = settings.model_copy(update={"model_repository": tmp_path})
    with serve_app(create_app(none)) as url, browser.new_page() as page:
        page.goto(url)
        expect(page.locator("scs-answers")).to_contain_text("No model is served here")
