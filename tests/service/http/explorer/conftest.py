"""A browser, and the explorer on the real service with the bundled models."""

import os
import shutil
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
# Without these it asks for names and updates of its own.
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = int(os.environ.get("PATIENCE_MS", 120_000))  # a compiler may run before the first match


@pytest.fixture(scope="module")
def browser():
    """Chromium by Playwright; where either is missing, tests are skipped."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the extra `test`")
    if CHROMIUM is None:
        pytest.skip("needs chromium or google-chrome")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=[*QUIET])
        playwright.expect.set_options(timeout=PATIENCE_MS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def address(serve):
    with serve() as url:
        yield url


@pytest.fixture
def page(browser, address):
    """The page, opened; whatever it logs as wrong fails the test, and so does a request to another host."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    context.set_default_timeout(PATIENCE_MS)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    opened = context.new_page()
    wrong, asked = [], []
    opened.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    opened.wrong = wrong
    opened.goto(f"{address}/")
    yield opened
    context.close()
    assert not [text for text in wrong if "status of 4" not in text], "refusals are shown on the page, and meant"
    assert all(url.startswith((address, "blob:", "data:")) for url in asked)


@pytest.fixture(scope="session")
def cat() -> Path:
    return Path(__file__).parents[4] / "service/http/explorer/page/samples/cat.jpg"
