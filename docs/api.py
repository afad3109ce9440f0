"""Write docs/api.md, the page of the public names of ``scs``, from their docstrings: ``python docs/api.py``."""

import re
import subprocess
import sys
import textwrap
from functools import cache
from itertools import groupby
from pathlib import Path

import griffe
from pydantic import BaseModel

import scs

ROOT = Path(__file__).parents[1]
PAGE = Path(__file__).with_suffix(".md")
TITLES = {
    "layers": "Layers for PyTorch",
    "matching": "Find templates",
    "cpu": "Run a trained model",
    "train": "Export a network",
    "client": "Ask a running service",
}
INTRODUCTION = """\
# The names of `scs`

Written by `python docs/api.py` from the docstrings; its examples run as tests. `import scs` loads nothing but itself:
what a name needs is imported when the name is first used. Each part has an extra that installs it. The examples begin
with:

```python
import numpy as np
import torch

from scs import *
```
"""


def page() -> str:
    """The page as the docstrings have it."""
    sections = [INTRODUCTION]
    for extra, names in groupby(scs._PLACES, key=lambda name: scs._PLACES[name][1]):
        sections.append(f"## {TITLES[extra]}\n\n`pip install 'scs-serve[{extra}]'`\n")
        sections += [described(name, scs._PLACES[name][0]) for name in names]
    return "\n".join([*sections, "## Errors\n", described("ScsError", "scs.errors")])


def described(name: str, module: str) -> str:
    """A name with its signature and all that its docstring says."""
    package, _, rest = module.partition(".")
    thing = loaded(package)[rest][name]
    paragraphs = [f"### {name}", signature(thing)]
    sections = thing.docstring.parsed
    end = next((i for i, section in enumerate(sections) if section.kind.value == "admonition"), len(sections))
    paragraphs += map(shown, sections[:end])
    if thing.is_class:
        paragraphs += [fields(name), methods(thing)]
    paragraphs += map(shown, sections[end:])  # the source and the example come last
    return "\n\n".join(filter(None, paragraphs)) + "\n"


def signature(thing: griffe.Object) -> str:
    """How a function or a class is called; nothing for a class that takes what its base, of another project, does."""
    made_by = thing.all_members.get("__init__") if thing.is_class else thing
    if made_by is None:
        return ""
    text = target(made_by).signature(name=thing.name, return_type=thing.is_function).replace("(self, ", "(")
    wrapped = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length=120", "-"],
        input=f"def {text}: ...",
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return code(wrapped.removeprefix("def ").removesuffix(": ...\n"))


def target(thing: griffe.Object | griffe.Alias) -> griffe.Object:
    """A member itself, where it is inherited."""
    return thing.final_target if thing.is_alias else thing


def shown(section: griffe.DocstringSection) -> str:
    """A section of a docstring in Markdown."""
    match section.kind.value:
        case "text":
            return markdown(section.value)
        case "admonition" if section.title == "Example":
            return code(section.value.description)
        case "admonition":
            return f"{section.title}: {markdown(section.value.description)}"
        case "returns":
            return f"Returns: {markdown(section.value[0].description)}"
        case "raises":
            return listed("Raises", [(each.annotation, each.description) for each in section.value])
        case kind:
            return listed(kind.capitalize(), [(each.name, each.description) for each in section.value])


def methods(thing: griffe.Class) -> str:
    """The public methods and properties of a class, with what they take and the first line of their docstrings."""
    public = [each for each in thing.all_members.values() if each.is_public and each.has_docstring]
    return listed(
        "Methods and properties",
        [
            (target(each).signature() if each.is_function else each.name, each.docstring.value.partition("\n\n")[0])
            for each in public
            if each.is_function or "property" in each.labels
        ],
    )


def fields(name: str) -> str:
    """The fields of a model of pydantic, whose descriptions are not in its docstring."""
    thing = getattr(scs, name)
    if not issubclass(thing, BaseModel):
        return ""
    rows = thing.model_fields.items()
    return listed("Fields", [(f"{each.alias or name} = {each.default!r}", each.description) for name, each in rows])


def listed(title: str, rows: list[tuple[str, str]]) -> str:
    return f"{title}:\n\n" + "\n".join(item(*row) for row in rows) if rows else ""


def item(name: object, text: str) -> str:
    return textwrap.indent(f"- `{name}`: {markdown(text)}", "  ").removeprefix("  ")


def markdown(text: str) -> str:
    """Text of a docstring: code and references between single backticks, and no second colon before a block."""
    text = re.sub(r"``(.+?)``", r"`\1`", text.strip(), flags=re.DOTALL)
    return re.sub(r":\w+:(`[^`]+`)", r"\1", text).replace("::\n", ":\n")


def code(text: str) -> str:
    return f"```python\n{text}\n```"


@cache
def loaded(package: str) -> griffe.Module:
    """A package of this project, read and not imported."""
    return griffe.load(
        package,
        search_paths=[ROOT],
        docstring_parser=griffe.Parser.google,
        docstring_options={"returns_multiple_items": False, "returns_named_value": False, "warnings": False},
    )


if __name__ == "__main__":
    PAGE.write_text(page())
