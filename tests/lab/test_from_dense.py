"""The page on dense layers: its figures are JSON, and its words are so."""

import json
from pathlib import Path

import pytest
from PIL import Image

from lab.from_dense import draw, run, tables

LAB = Path(__file__).parents[2] / "docs" / "lab"
PAGE = (LAB / "from-dense.md").read_text()
FULL = json.loads((LAB / "pictures" / "from-dense" / "figures.json").read_text())


@pytest.fixture(scope="module")
def figures():
    return json.loads(json.dumps(run(True, lambda done, total: None)))


def test_tables_are_whole_and_pictures_are_drawn(figures, tmp_path):
    assert all(len(row) == len(table.heads) for table in tables(figures).values() for row in table.rows)
    for path in draw(figures, tmp_path):
        with Image.open(path) as picture:
            assert picture.width == 1000


def test_mirroring_guesses_best_and_the_other_end_worst():
    for found in FULL["wrong"]["reflecting"], FULL["wrong"]["zero"], FULL["wrong"]["circular"]:
        assert found == sorted(found), "deeper is worse"
    for reflecting, zero, circular in zip(*(FULL["wrong"][b] for b in ("reflecting", "zero", "circular")), strict=True):
        assert reflecting < zero < circular


def test_nothing_is_wrong_further_in_than_the_layers_reach(figures):
    for by_ring in figures["by_ring"].values():
        assert max(by_ring[8:]) < 1e-9 < by_ring[7]


def test_what_the_page_says_in_words_is_so():
    counts = list(FULL["parameters"].values())
    assert f'"32,000 times fewer" is {counts[0] / counts[-1]:,.0f}' in PAGE
    assert "after eight layers of 3x3, three quarters of the 32x32 outputs" in PAGE
    assert FULL["touched"][FULL["depths"].index(8)] == 0.75
    assert counts[2] > counts[1] and "Locality alone leaves more weights than sharing alone" in PAGE
    assert (
        f"a kernel of {['', 'one', 'two', 'three', 'four', 'five'][FULL['drawn']['both: convolution']]} weights" in PAGE
    )
