"""The table of docs/architecture.md: each package with the first paragraph of its docstring."""

import ast
from pathlib import Path

from results import table

ROOT = Path(__file__).parents[2]


def rooms():
    """The first paragraph of each package's docstring, and of the modules beside those of the service."""
    rows = []
    for top in ("service", "models", "scs", "lab"):
        packages = (path.parent for path in (ROOT / top).rglob("__init__.py"))
        beside = [path for path in (ROOT / top).glob("*.py") if top == "service" and path.name != "__init__.py"]
        for path in sorted([*packages, *beside], key=lambda path: path.relative_to(ROOT).parts):
            name = path.relative_to(ROOT)
            rows.append([f"[`{name}{'/' * path.is_dir()}`](../{name})", first_line(path)])
    return table(["room", "what"], rows).replace("---:", "---")  # both columns are words


def first_line(path):
    source = path / "__init__.py" if path.is_dir() else path
    words = ast.get_docstring(ast.parse(source.read_text())).partition("\n\n")[0]
    return " ".join(words.replace("``", "`").split())


TABLES = (rooms,)
