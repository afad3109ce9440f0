"""What docs/scs-or-conv.md says is so: its tables are the results', what it names exists, intervals hold."""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest

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
