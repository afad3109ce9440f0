"""The page on dense layers: its figures are JSON, and its words are so."""

import json
from pathlib import Path

import pytest

LAB = Path(__file__).parents[3] / "docs" / "lab"
PAGE = (LAB / "from-dense.md").read_text()
FULL = json.loads((LAB / "pictures" / "from-dense" / "figures.json").read_text())


@pytest.fixture(scope="module")
def figures(quick):
    return quick("from-dense")[0]


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
