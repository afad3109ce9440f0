"""Pictures of the explorer in docs/explorer: three sizes of screen, light and dark. Needs Chromium and playwright."""

import io
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

FOLDER = Path(__file__).parent / "explorer"
SIZES = {"phone": (360, 740), "laptop": (1280, 900), "4k": (3840, 2160)}
MOST = 1400  # pixels of a picture's longer side
COLOURS = 256


@contextmanager
def served():
    """The service with the bundled models; the context is its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SCS_")}
    command = [sys.executable, "-m", "service.cli", "serve", "--port", str(port)]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}"
        while not is_ready(address):
            time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait()


def is_ready(address: str) -> bool:
    try:
        return urllib.request.urlopen(f"{address}/v2/health/ready").status == 200
    except (urllib.error.URLError, ConnectionError):
        return False


def show(page: Page, address: str) -> None:
    """The cat, one of its eyes, and where block3 sees another."""
    view = "model=cifar10-scs&other=cifar10-conv&layer=block3&box=152,112,70,64&shown=match&where=block3&sample=cat.jpg"
    page.goto(f"{address}/#{view}")
    page.locator("scs-finds caption", has_text="block3").wait_for(timeout=120_000)
    page.locator(".channel canvas").first.wait_for()
    page.locator(".answer").nth(1).wait_for()
    page.locator('scs-finds [data-where="class_map"]').wait_for()  # what is asked last
    page.wait_for_timeout(1000)


def save(name: str, screenshot: bytes) -> None:
    image = Image.open(io.BytesIO(screenshot)).convert("RGB")
    image.thumbnail((MOST, MOST), Image.Resampling.LANCZOS)
    image.quantize(COLOURS, Image.Quantize.MAXCOVERAGE).save(FOLDER / f"{name}.png", optimize=True)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with served() as address, sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for size, (width, height) in SIZES.items():
            for scheme in ("light", "dark"):
                page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
                show(page, address)
                save(f"{size}-{scheme}", page.screenshot())
                page.close()
        browser.close()


if __name__ == "__main__":
    main()
