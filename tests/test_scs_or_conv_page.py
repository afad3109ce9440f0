"""What docs/scs-or-conv.md says is so: its tables are the results', what it names exists, intervals hold."""

import importlib
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ttest_ind_from_stats

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "scs-or-conv.md").read_text()


def test_the_tables_are_those_of_the_results():
    filled = runpy.run_path(str(ROOT / "docs" / "tables"))["filled"]
    assert filled(PAGE) == PAGE, "run: python docs/tables"


def test_files_that_are_named_exist():
    named = re.findall(r"`(?:python )?((?:bench|docs|tests|scs|models)/[\w/.-]+\.\w+)", PAGE)
    assert named
    for path in named:
        assert (ROOT / path).exists(), path


@pytest.fixture(scope="module")
def compared():
    return runpy.run_path(str(ROOT / "bench" / "robustness.py"))["compared"]


@pytest.mark.parametrize("seeds", [1, 3, 5])
def test_intervals_hold_the_true_difference_as_often_as_they_say(compared, seeds):
    """Images differ in how hard they are, which both families share, and seeds in how good they came out."""
    random = np.random.default_rng(seeds)
    images, drawn, held = 400, 400, 0
    for _ in range(drawn):
        hard = random.normal(0, 1, images)
        luck = random.normal(0, 0.1, (2, seeds, 1)) if seeds > 1 else np.zeros((2, 1, 1))
        right = random.normal(0, 1, (2, seeds, images)) + hard + luck > 0
        low, high = compared(*right.astype(float))["interval_95"]
        held += low <= 0 <= high
    assert held / drawn > 0.91, "three standard deviations below 95%"


def test_the_difference_is_that_of_the_means_and_what_is_taken_off_is_taken_off(compared):
    scs, conv = np.array([[1.0, 1.0, 0.0, 1.0]]), np.array([[1.0, 0.0, 0.0, 0.0]])
    found = compared(scs, conv)
    assert (found["scs"], found["conv"], found["difference"]) == ([0.75], [0.25], 0.5)
    assert compared(scs, conv, less=(scs, conv)) == {"difference": 0, "interval_95": [0, 0]}


@pytest.fixture(scope="module")
def tables():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "docs" / "tables"))
        yield importlib.import_module("scs_or_conv"), importlib.import_module("corrected")


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_corrected_interval_is_that_of_the_bench_where_there_is_one_difference_and_wider_where_there_are_many(
    compared, tables, seeds
):
    random = np.random.default_rng(0)
    right = (random.normal(0, 1, (2, seeds, 400)) + random.normal(0, 0.2, (2, seeds, 1)) > 0).astype(float)
    cell = compared(*right)
    spread = tables[1].spread(cell, [cell["scs"], cell["conv"]])
    alone, together = (tables[1].corrected(cell["difference"], *spread, count) for count in (1, 100))
    assert alone == pytest.approx(cell["interval_95"], abs=1e-3)
    assert together[0] < alone[0] and together[1] > alone[1]


def test_the_difference_of_the_best_poolings_is_welchs(tables):
    ours, theirs = (80.68, 0.2, 3), (80.88, 0.22, 3)
    edges = tables[1].corrected(*tables[1].welch(ours, theirs), 1)
    found = ttest_ind_from_stats(*ours, *theirs, equal_var=False)
    assert edges == pytest.approx([-0.68, 0.28], abs=0.005)
    assert tables[1].welch(ours, theirs)[1] == pytest.approx(-0.2 / found.statistic)


def test_the_page_says_how_many_differences_it_has_and_what_a_stretch_leaves_of_them(tables):
    words = " ".join(PAGE.split())
    count = tables[0].count()
    assert f"There are {count} differences on this page" in words and f"each at {100 - 5 / count:.2f} %" in words
    found = tables[0].baselines_of()["mnist"]
    left = [f"{100 * found[name]['stretch']['difference']:.1f}" for name in ("contrast", "blur", "noise")]
    assert left == ["0.3", "9.6", "4.3"]
    assert "become .3" in words and "9.6 and 4.3 points stretched" in words
