"""Seven small kernels learn a large one, and stacks see as far as their polynomials say."""

import json
from pathlib import Path

import numpy as np
import pytest

from lab.stacks import compose_kernels
from lab.topics.stacks import CLOSE, SERIES, TARGETS, learned

ROOT = Path(__file__).parents[3] / "docs" / "lab"
PAGE = (ROOT / "stacks.md").read_text()
FULL = json.loads((ROOT / "pictures" / "stacks" / "figures.json").read_text())


@pytest.fixture(scope="module")
def figures(quick):
    return quick("stacks")[0]


def test_the_first_reading_of_the_series_is_the_same_polynomial_by_powers():
    x = np.linspace(-1, 1, 20)
    by_series = np.polynomial.chebyshev.chebval(x, SERIES)
    np.testing.assert_allclose(np.polynomial.polynomial.polyval(x, TARGETS["powers"]), by_series)
    assert f"taps {', '.join(f'{tap:.0f}' for tap in TARGETS['powers'])}" in PAGE


@pytest.mark.parametrize("which", ["of this run", "on the page"])
def test_the_product_of_the_best_layers_is_the_target_of_both_readings(which, figures):
    for found in (figures if which == "of this run" else FULL)["taught"].values():
        product = compose_kernels(found["kernels"])
        np.testing.assert_allclose(product, np.pad(found["target"], 3), atol=CLOSE)


def test_receptive_fields_grow_as_the_product_of_the_windows_does_in_every_bundled_model(figures):
    assert figures["fields"]
    for layers in figures["fields"].values():
        assert layers
        for layer in layers.values():
            assert layer["predicted"] == layer["card"]


def test_merged_models_answer_the_same_and_are_no_larger(figures):
    for each in figures["merged"].values():
        assert each["difference"] <= 1e-4
        assert each["nodes"][1] <= each["nodes"][0] and each["bytes"][1] <= each["bytes"][0]
    assert any(each["bytes"][1] < each["bytes"][0] for each in figures["merged"].values())


def test_a_stack_passes_from_its_start_to_what_it_learned():
    stack = learned(TARGETS["numbers"], "at random", 0, most=20)
    assert len(stack.passed) == len(stack.losses)
    np.testing.assert_allclose(stack.passed[-1], stack.kernel, atol=1e-12)
