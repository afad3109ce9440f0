"""The page on convolution: its figures are JSON, its formulas fit, its words are so."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from lab.convolution import correlate, correlation_matrix
from lab.named_kernels import prewitt
from lab.topics.convolution import CASES, SIMILARITIES, _operations, tables
from scs.nn.layers import SharpenedCosineSimilarity2d

LAB = Path(__file__).parents[3] / "docs" / "lab"
PAGE = (LAB / "convolution.md").read_text()
FULL = json.loads((LAB / "pictures" / "convolution" / "figures.json").read_text())


@pytest.fixture(scope="module")
def figures(quick):
    return quick("convolution")[0]


def test_every_way_gives_the_same(figures):
    assert figures["apart"] < 1e-5 and FULL["apart"] < 1e-5


def test_the_formula_of_the_matrix_counts_its_entries():
    for size, side in (((20, 20), 5), ((20, 20), 4), ((30,), 7)):
        kernel = np.ones((side,) * len(size))
        assert _operations("matrix", size, side) == correlation_matrix(kernel, size).nnz


def test_the_formulas_fit_what_was_measured_within_a_factor_of_three():
    fits = [cell for row in tables(FULL)["fits"].rows for cell in row[2:] if cell]
    assert len(fits) == 9 and all(float(fit.split(", ")[1].rstrip("x")) < 3 for fit in fits)


def test_the_fastest_way_changes_with_the_kernel():
    for case, small, large in (("picture", "matrix", "fft"), ("signal", "matrix", "overlap-save")):
        ways = FULL["costs"][case]
        least, most = CASES[case].sides[0], CASES[case].sides[-1]
        for side, expected in ((least, {small}), (most, {large, "fft"})):
            taken = {
                way: each["seconds"][each["sides"].index(side)] for way, each in ways.items() if side in each["sides"]
            }
            assert min(taken, key=taken.get) in expected


def test_each_similarity_overlooks_what_it_should():
    likeness = {name: dict(zip(SIMILARITIES, values, strict=True)) for name, values in FULL["likeness"].items()}
    assert likeness["a plain bright sky"]["dot product"] > likeness["itself"]["dot product"]
    assert likeness["at half the light"]["cosine"] == pytest.approx(1, abs=1e-5)
    for change in ("at half the light", "at half the contrast", "50 brighter"):
        assert likeness[change]["Pearson's r"] == pytest.approx(1, abs=1e-5)
    assert likeness["its negative"]["Pearson's r"] == pytest.approx(-1, abs=1e-5)
    for values in likeness.values():
        assert values["SCS, p = 4"] == pytest.approx(values["cosine"] ** 4, abs=1e-4)


def test_the_sizes_on_the_page_are_those_that_were_measured():
    height, width = CASES["picture"].size
    assert f"A picture of {height}x{width}:" in PAGE and f"A signal of {CASES['signal'].size[0]:,} samples:" in PAGE


EXAMPLE = np.array([[1, 2, 3, 0], [0, 1, 2, 3], [3, 0, 1, 2], [2, 3, 0, 1]], float)


def test_the_example_of_the_page_comes_out_so_by_prewitts_kernels_too():
    assert correlate(EXAMPLE, [[2, 0, 1], [0, 1, 2], [1, 0, 2]], "valid").tolist() == [[15, 16], [6, 15]]
    assert correlate(EXAMPLE, prewitt(1), "valid").tolist() == [[2, 2], [-2, 2]]
    assert correlate(EXAMPLE, prewitt(0), "valid").tolist() == [[-2, -2], [2, -2]]


def test_the_sizes_on_the_page_are_those_of_the_layer():
    rows = re.findall(r"^\| [^|]+ \| (\d) \| (\d) \| (\d) \| (\d) \|$", PAGE, re.MULTILINE)
    assert len(rows) == 5
    for padding, stride, dilation, size in (map(int, row) for row in rows):
        layer = SharpenedCosineSimilarity2d(1, 1, 3, stride, padding, dilation)
        assert layer(torch.zeros(1, 1, 4, 4)).shape[2:] == (size, size)
