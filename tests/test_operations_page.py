"""What docs/operations.md says is so: its tables are the results', what it links to exists."""

import re
import runpy
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "operations.md").read_text()


def test_the_tables_are_those_of_the_results():
    filled = runpy.run_path(str(ROOT / "docs" / "tables"))["filled"]
    assert filled(PAGE) == PAGE, "run: python docs/tables"


def test_files_that_are_linked_or_named_exist():
    named = re.findall(r"`(?:python )?((?:bench|docs|tests|scs|service)/[\w/.]+)", PAGE)
    linked = [f"docs/{target}" for target in re.findall(r"\]\(([^)#:]+)(?:#[\w-]+)?\)", PAGE)]
    for path in [*named, *linked]:
        assert (ROOT / path).exists(), path
