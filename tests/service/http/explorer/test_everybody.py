"""The explorer for everybody: any size of screen, either scheme of colours, the keyboard alone, a key, a restart."""

import re
import socket
from pathlib import Path

import pytest
from PIL import Image

expect = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the extra `test`").expect

ROOT = Path(__file__).parents[4]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
SIZES = {"phone": (360, 740), "laptop": (1280, 900), "4k": (3840, 2160)}
SCHEMES = ("light", "dark")
KEY = "correct-horse-battery"


def fill(page):
    """Show all that the page can show at once."""
    page.get_by_role("button", name="Cat", exact=True).click()
    expect(page.locator(".layer")).not_to_have_count(0)
    page.get_by_label("Beside it").select_option("cifar10-conv")
    page.locator('.layer[data-layer="block3"]').click()
    expect(page.locator(".channel canvas").first).to_be_visible()
    page.get_by_role("application").focus()
    page.keyboard.press("Enter")
    expect(page.locator("scs-finds table")).to_be_visible()
    expect(page.locator(".answer")).to_have_count(2)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("size", SIZES)
def test_the_page_fits_every_screen_and_axe_finds_nothing(browser, address, size, scheme):
    width, height = SIZES[size]
    # Without the policy, which would keep axe out: it is put into the page from outside.
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto(f"{address}/")
    fill(page)
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0, "only tables and strips scroll sideways"
    dark = page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(19, 21, 23)"
    assert dark is (scheme == "dark")
    if AXE.exists():
        page.add_script_tag(path=AXE)
        found = page.evaluate("axe.run().then((result) => result.violations)")
        assert not [(each["id"], [node["html"][:120] for node in each["nodes"]]) for each in found]
    context.close()


@pytest.mark.skipif(not AXE.exists(), reason="needs axe-core: npm ci")
def test_axe_would_find_what_is_wrong(browser, address):
    context = browser.new_context(bypass_csp=True)
    page = context.new_page()
    page.goto(f"{address}/")
    page.evaluate("document.body.append(document.createElement('input'))")
    page.add_script_tag(path=AXE)
    found = page.evaluate("axe.run().then((result) => result.violations.map((each) => each.id))")
    assert "label" in found
    context.close()


def test_the_keyboard_alone_reaches_everything(page):
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keyboard")
    expect(sheet).to_contain_text("resize the box")
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()

    page.get_by_role("button", name="Cat", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.locator(".layer")).not_to_have_count(0)
    page.keyboard.press("l")
    page.keyboard.press("l")
    expect(page.locator('.layer[aria-pressed="true"] strong')).to_have_text("block1")
    expect(page.locator('.channel[aria-pressed="true"]')).to_have_count(1)
    best = page.locator('.channel[aria-pressed="true"]').inner_text()
    page.keyboard.press("c")
    expect(page.locator('.channel[aria-pressed="true"]')).not_to_have_text(best)

    page.keyboard.press("b")
    page.keyboard.press("Enter")
    sides = [page.get_by_label(side, exact=True) for side in ("x", "y", "width", "height")]
    wanted = [208, 144, 96, 96]
    for keys, change in (
        ("ArrowRight", (1, 0, 0, 0)),
        ("Shift+ArrowDown", (0, 10, 0, 0)),
        ("Control+ArrowRight", (0, 0, 1, 0)),
        ("Control+Shift+ArrowUp", (0, 0, 0, -10)),
    ):
        page.keyboard.press(keys)
        wanted = [number + step for number, step in zip(wanted, change, strict=True)]
        assert [side.input_value() for side in sides] == list(map(str, wanted)), keys
    page.keyboard.press("Alt+ArrowLeft")
    expect(page.locator(".marks .pinned")).to_have_count(1)
    page.keyboard.press("3")
    expect(page.get_by_role("radio", name="Class map")).to_be_checked()
    page.keyboard.press("Escape")
    assert [side.input_value() for side in sides] == [""] * 4


def test_every_control_can_be_named(page):
    fill(page)
    unnamed = page.evaluate(
        """[...document.querySelectorAll("button, input, select")].filter((each) =>
            !each.textContent.trim() && !each.getAttribute("aria-label") && !each.labels?.length
        ).map((each) => each.outerHTML)"""
    )
    assert unnamed == []


def test_a_key_is_entered_on_the_page(browser, serve):
    with serve(SCS_API_KEY=KEY) as address:
        page = browser.new_page()
        page.goto(f"{address}/")
        expect(page.locator('[data-notice="models"]')).to_contain_text("a key is needed")
        page.get_by_label("API key").fill(KEY)
        page.get_by_role("button", name="Use this key").click()
        expect(page.get_by_label("API key")).to_be_hidden()
        page.get_by_role("button", name="Cat", exact=True).click()
        expect(page.locator(".bar").first).to_contain_text("cat")
        assert KEY not in page.locator("scs-snippets").inner_text()
        page.close()


@pytest.mark.slow
def test_the_page_goes_on_after_the_service_has_been_started_again(browser, serve):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    page = browser.new_page()
    with serve(port=port) as address:
        page.goto(f"{address}/")
        page.get_by_role("button", name="Cat", exact=True).click()
        expect(page.locator(".bar").first).to_contain_text("cat")
    page.get_by_label("Beside it").select_option("cifar10-conv")
    expect(page.locator('[data-notice="models"]')).to_have_text("the service does not answer")
    with serve(port=port):
        expect(page.locator(".answer")).to_have_count(2)
        expect(page.locator(".answer").nth(1).locator(".bar")).to_have_count(5)
        expect(page.locator('[data-notice="models"]')).to_have_count(0)
    page.close()


def test_the_page_waits_for_models_that_are_loading(page, address):
    loading = {
        "name": "cifar10-scs",
        "version": 2,
        "state": "LOADING",
        "available": False,
        "reason": None,
        "labels": [],
    }
    loading |= {"default": True, "default_version": True, "device": None, "kernels": None}
    page.route(re.compile("/models$"), lambda route: route.fulfill(json={"models": [loading]}))
    page.route(re.compile("/models/cifar10-scs"), lambda route: route.fulfill(json={**loading, "card": None}))
    page.reload()
    expect(page.locator('[data-notice="card"]')).to_contain_text("cifar10-scs cannot be used yet")
    page.get_by_role("button", name="Cat", exact=True).click()
    page.unroute_all()
    expect(page.locator(".bar").first).to_contain_text("cat")
    expect(page.locator('[data-notice="card"]')).to_have_count(0)


def test_a_failure_is_shown_where_it_happens_in_the_words_of_the_api(page, address):
    said = "the queue is full; ask again in a second"
    page.route(re.compile("/predict"), lambda route: route.fulfill(status=422, json={"detail": said, "status": 422}))
    page.get_by_role("button", name="Cat", exact=True).click()
    expect(page.locator(".answer .failure")).to_have_text(said)


def test_a_link_to_a_version_that_is_gone_says_once_which_there_are(page, address):
    page.goto(f"{address}/#model=cifar10-scs&version=77")
    page.reload()
    expect(page.locator("[data-notice]")).to_have_text("no version 77 of cifar10-scs; there are: 2")
    page.goto(f"{address}/#model=cifar10-scs&version=2")
    expect(page.locator("[data-notice]")).to_have_count(0)


def test_a_link_that_is_followed_while_the_address_is_about_to_be_written_is_read(page, address):
    page.goto(f"{address}/#model=cifar10-scs")
    expect(page.locator("#pick-model")).to_have_value("cifar10-scs")
    # All are due at once, in this order: the address changes, the view that was shown is written, the address is read.
    page.evaluate(
        """async () => {
            const { session } = await import(new URL("explorer/session.js", location.href));
            setTimeout(() => (location.hash = "#model=mnist-conv"), 100);
            session.show({ opacity: 50 });
            for (const start = performance.now(); performance.now() - start < 400; );
        }"""
    )
    expect(page.locator("#pick-model")).to_have_value("mnist-conv")
    assert page.evaluate("location.hash").startswith("#model=mnist-conv")


def test_nothing_moves_for_those_who_want_it_still(browser, address):
    page = browser.new_page(reduced_motion="reduce")
    page.goto(f"{address}/")
    moving = page.evaluate(
        """[...document.querySelectorAll("*")].map((each) => getComputedStyle(each))
            .filter((style) => style.transitionDuration !== "0s" || style.animationName !== "none").length"""
    )
    assert moving == 0
    page.close()


def test_the_pictures_of_the_documentation_are_small_and_of_every_size_and_scheme():
    folder = ROOT / "docs" / "explorer"
    pictures = {path.stem: path for path in folder.glob("*.png")}
    assert set(pictures) == {f"{size}-{scheme}" for size in SIZES for scheme in SCHEMES}
    assert sum(path.stat().st_size for path in pictures.values()) < 1_500_000
    for path in pictures.values():
        Image.open(path).verify()
