"""What a network would like to see is its own affair on pixels, and a shape by frequencies that stand changes."""

import json
from pathlib import Path

import pytest

from lab.topics.visualize import BEST, NETWORKS, WAYS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "lab" / "visualize.md").read_text()
FULL = json.loads((ROOT / "docs" / "lab" / "pictures" / "visualize" / "figures.json").read_text())
WISHES = json.loads((ROOT / "bench" / "results" / "wishes.json").read_text())


@pytest.fixture(scope="module")
def figures(quick):
    return quick("visualize")[0]


def test_every_way_of_every_network_is_measured(figures):
    assert list(figures["ways"]) == list(NETWORKS)
    for ways in figures["ways"].values():
        assert list(ways) == list(WAYS)
        assert all(0 <= found["by_the_other"] <= found["recognised"] <= figures["classes"] for found in ways.values())


def test_what_the_page_says_in_words_is_so():
    """A wish is no template: kernels of it are near chance, and far below the network that wished it."""
    assert f"{WISHES['pictures']} test pictures" in PAGE and f"{WISHES['of_each_class']} of each class" in PAGE
    mean = WISHES["photographs"]["mean of 5,000"]["auc"]
    for found in WISHES["networks"].values():
        areas = {kernel: each["auc"] for kernel, each in found.items()}
        assert all(0.45 < areas[kernel] < 0.55 < mean for kernel in ("plain", "pyramid", "harmonic", "disc", "fractal"))
        assert areas["its own answer"] > 0.95 and areas["in its last maps"] > 0.75
    for ways in FULL["ways"].values():
        assert ways[BEST]["logit"] < ways["pixels"]["logit"]
        assert all(found["by_the_other"] >= FULL["classes"] - 1 for found in ways.values())
