"""What docs/explorer.md says is so: its tests exist, and its table of times is that of the results."""

import re
import runpy
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "explorer.md").read_text()
TESTS = ROOT / "tests" / "service" / "http" / "explorer"


def test_every_test_that_is_named_exists_and_every_one_of_the_page_is_named():
    named = set(re.findall(r"`(test_[a-z_0-9]+)`", PAGE))
    files = {file.name: file.read_text() for file in TESTS.glob("test_*.py")}
    there = {name: set(re.findall(r"^def (test_\w+)", text, re.MULTILINE)) for name, text in files.items()}
    assert named <= set().union(*there.values())
    assert there["test_page.py"] <= named


def test_the_table_of_times_is_that_of_the_results():
    filled = runpy.run_path(str(ROOT / "docs" / "tables"))["filled"]
    assert filled(PAGE) == PAGE, "run: python docs/tables"
