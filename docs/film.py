"""The animation at the top of the README: fifteen seconds of the explorer. Needs Chromium and playwright."""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Page, sync_playwright
from screens import served

FILM = Path(__file__).parent / "explorer" / "film.webp"
SIZE = (1280, 1060)
WIDTH = 880  # pixels of a frame
WAIT_MS = 120_000
POINTER = [(0, 0), (0, 17), (4, 13), (7, 20), (10, 19), (7, 12), (12, 12)]

Frame = tuple[Image.Image, int]  # and the milliseconds that it is shown


class Camera:
    """Takes frames of a page, with a pointer where the mouse is, which screenshots lack."""

    def __init__(self, page: Page) -> None:
        self.page, self.place = page, (640.0, 700.0)

    def frame(self, milliseconds: int) -> Frame:
        image = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        corners = [(self.place[0] + x, self.place[1] + y) for x, y in POINTER]
        ImageDraw.Draw(image).polygon(corners, fill="black", outline="white")
        return image.resize((WIDTH, WIDTH * image.height // image.width), Image.Resampling.LANCZOS), milliseconds

    def go(self, x: float, y: float, steps: int = 3) -> Iterator[Frame]:
        """Move the pointer there, a frame a step."""
        start = self.place
        for step in range(1, steps + 1):
            self.place = tuple(a + (b - a) * step / steps for a, b in zip(start, (x, y), strict=True))
            self.page.mouse.move(*self.place)
            self.page.wait_for_timeout(120)  # what follows the pointer is drawn
            yield self.frame(120)

    def click(self, selector: str, then: str, has_text: str | None = None) -> Iterator[Frame]:
        """Go to an element and click it, and wait for another to be there."""
        self.page.locator(selector).first.scroll_into_view_if_needed()
        area = self.page.locator(selector).first.bounding_box()
        yield from self.go(area["x"] + area["width"] / 2, area["y"] + area["height"] / 2)
        self.page.locator(selector).first.click()
        self.page.locator(then, has_text=has_text).first.wait_for(timeout=WAIT_MS)
        self.page.wait_for_timeout(300)
        yield self.frame(900)


def scenes(camera: Camera) -> Iterator[Frame]:
    """A cat; a layer; what is similar to the place under the pointer; where else a box is; why it is a cat."""
    page = camera.page
    yield camera.frame(700)
    yield from camera.click('scs-chooser button:text-is("Cat")', ".answer .bar")
    page.locator(".layer").last.wait_for(timeout=WAIT_MS)
    yield from camera.click('.layer[data-layer="block2"]', ".channel canvas")
    page.locator("scs-favourites").scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    yield camera.frame(1200)
    page.get_by_label("Similarity", exact=True).check()
    page.locator(".surface").scroll_into_view_if_needed()
    area = page.locator(".surface").bounding_box()

    def place(x: float, y: float) -> tuple[float, float]:
        return area["x"] + x * area["width"] / 512, area["y"] + y * area["height"] / 384

    for x, y in ((187, 142), (363, 172), (285, 330), (187, 142)):
        yield from camera.go(*place(x, y), steps=4)
        yield camera.frame(300)
    yield from camera.go(*place(152, 112))
    page.mouse.down()
    yield from camera.go(*place(222, 176))
    page.mouse.up()
    page.locator("scs-finds tbody tr").first.wait_for(timeout=WAIT_MS)
    page.wait_for_timeout(500)
    yield camera.frame(1300)
    yield from camera.click('[data-where="block2"]', "scs-finds caption", "block2")
    yield camera.frame(900)
    yield from camera.click(".bar", "scs-classes .numbers", "logit")
    yield camera.frame(2000)


def save(frames: list[Frame], path: Path) -> None:
    """Write the frames as an animated WebP."""
    (first, *others), durations = zip(*frames, strict=True)
    first.save(path, save_all=True, append_images=others, duration=durations, loop=0, quality=70, method=4)


def shot(browser: Browser, address: str) -> list[Frame]:
    """Return all frames, of the service at an address."""
    page = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]}, color_scheme="light")
    page.goto(f"{address}/")
    page.locator("scs-models tbody tr").first.wait_for(timeout=WAIT_MS)
    frames = list(scenes(Camera(page)))
    page.close()
    return frames


def main() -> None:
    with served() as address, sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        save(shot(browser, address), FILM)
        browser.close()


if __name__ == "__main__":
    main()
