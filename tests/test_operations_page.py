"""What docs/operations.md says is so: its tables are the results', what it names exists."""

import re
import runpy
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "operations.md").read_text()


def test_the_tables_are_those_of_the_results():
    filled = runpy.run_path(str(ROOT / "docs" / "tables"))["filled"]
    assert filled(PAGE) == PAGE, "run: python docs/tables"


def test_files_that_are_named_exist():
    named = re.findall(r"`(?:python )?((?:bench|docs|tests|scs|service)/[\w/.]+)", PAGE)
    for path in named:
        assert (ROOT / path).exists(), path
