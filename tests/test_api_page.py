"""docs/api.md is what the docstrings say, has every public name, and its examples run."""

import doctest
import re
import runpy
from pathlib import Path

import pytest

import scs

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "api.md").read_text()
BEGINNING, *BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
EXAMPLES = [block for block in BLOCKS if block.startswith(">>>")]


def test_the_page_is_that_of_the_docstrings():
    assert runpy.run_path(str(ROOT / "docs" / "api.py"))["page"]() == PAGE, "run: python docs/api.py"


def test_every_public_name_is_on_the_page_and_in_an_example():
    assert re.findall(r"^### (\w+)$", PAGE, re.MULTILINE) == scs.__all__
    for name in scs.__all__:
        assert any(re.search(rf"\b{name}\b", example) for example in EXAMPLES), name


def test_every_option_has_a_description():
    assert "`: None" not in PAGE


@pytest.fixture(scope="module")
def server(serve):
    with serve() as url:
        yield url


@pytest.fixture(scope="module")
def beginning():
    """The names that the page says its examples begin with."""
    names = {}
    exec(BEGINNING, names)
    return names


def run(example, names):
    """Run an example and compare what it prints."""
    test = doctest.DocTestParser().get_doctest(example, dict(names), "docs/api.md", None, 0)
    assert test.examples
    said = []
    assert doctest.DocTestRunner(verbose=False).run(test, out=said.append).failed == 0, "".join(said)


@pytest.mark.parametrize("example", [example for example in EXAMPLES if "http://" not in example])
def test_an_example_prints_what_the_page_says(example, beginning):
    run(example, beginning)


@pytest.mark.parametrize("example", [example for example in EXAMPLES if "http://" in example])
def test_an_example_of_the_client_prints_what_the_page_says(example, beginning, server, monkeypatch):
    monkeypatch.chdir(ROOT)
    run(example.replace("http://127.0.0.1:8000", server), beginning)
