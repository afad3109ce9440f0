"""The animation at the top of the README: fifteen seconds of the explorer, under three megabytes."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("playwright.sync_api", reason="needs playwright, of the extra `test`")

DOCS = Path(__file__).parents[4] / "docs"
LARGEST = 3_000_000  # bytes


def frames(path):
    """The frames of an animation, small and grey, and the milliseconds that each is shown."""
    pixels, durations = [], []
    with Image.open(path) as film:
        for number in range(film.n_frames):
            film.seek(number)
            pixels.append(np.asarray(film.convert("L").reduce(8)).astype(int))
            durations.append(film.info["duration"])
    return pixels, durations


def assert_is_film(path):
    assert path.stat().st_size < LARGEST
    pixels, durations = frames(path)
    assert 13_000 <= sum(durations) <= 17_000
    changes = [np.abs(now - before).mean() for before, now in zip(pixels, pixels[1:], strict=False)]
    assert sum(change > 1 for change in changes) > 15, "it moves"
    first, last = pixels[0], pixels[-1]
    assert np.abs(first - last).mean() > 10


def test_the_film_of_the_readme_is_short_and_small():
    assert "docs/explorer/film.webp" in (DOCS.parent / "README.md").read_text()
    assert_is_film(DOCS / "explorer" / "film.webp")


@pytest.mark.slow
def test_the_film_is_made_of_the_page_as_it_is(browser, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(DOCS)
    camera = runpy.run_path(str(DOCS / "film.py"))
    with camera["served"]() as address:
        camera["save"](camera["shot"](browser, address), tmp_path / "film.webp")
    assert_is_film(tmp_path / "film.webp")
