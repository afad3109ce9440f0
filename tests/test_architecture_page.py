"""What docs/architecture.md says is so: its table is that of the packages, what it names exists."""

import re
import runpy
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "architecture.md").read_text()


def test_the_table_of_rooms_is_what_the_packages_say():
    filled = runpy.run_path(str(ROOT / "docs" / "tables"))["filled"]
    assert filled(PAGE) == PAGE, "run: python docs/tables"


def test_files_that_are_named_exist():
    named = re.findall(r"`(?:python )?((?:scs|models|service|lab|tests|bench|docs|monitoring)/[\w/.-]+)`", PAGE)
    assert len(named) > 30
    for path in named:
        assert (ROOT / path).exists(), path
