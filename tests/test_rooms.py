"""Which package imports which: an arrow upwards is a mistake."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def imported(path: Path) -> set[str]:
    """Names of the packages that a file imports anywhere in it."""
    tree = ast.parse(path.read_text())
    plain = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    of = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    return {name.split(".")[0] for name in plain | of}


@pytest.mark.parametrize(
    ("room", "above"),
    [
        ("scs", {"models", "service", "lab"}),
        ("models", {"service", "lab"}),
        ("service", {"lab"}),
        ("lab", {"service"}),
    ],
)
def test_no_room_imports_what_stands_above_it_and_only_the_laboratory_knows_of_itself(room, above):
    found = {str(path.relative_to(ROOT)): imported(path) & above for path in (ROOT / room).rglob("*.py")}
    assert found and not {path: names for path, names in found.items() if names}
