"""What docs/client.md says is so: its examples run, in order, and its tables are complete."""

import doctest
import inspect
import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from service.client import Client

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "client.md").read_text()


@pytest.fixture(scope="module")
def server(serve):
    with serve() as url:
        yield url


def test_every_example_prints_what_the_page_says(server, tmp_path, monkeypatch):
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    monkeypatch.chdir(tmp_path)
    plt.switch_backend("agg")
    examples = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)).replace("http://127.0.0.1:8000", server)
    test = doctest.DocTestParser().get_doctest(examples, {}, "docs/client.md", None, 0)
    said = []
    assert doctest.DocTestRunner(verbose=False).run(test, out=said.append).failed == 0, "".join(said)
    assert len(test.examples) > 20 and (tmp_path / "found.png").stat().st_size
    plt.close("all")


def test_every_method_and_argument_is_on_the_page():
    for name, _ in inspect.getmembers(Client, inspect.isfunction):
        assert name.startswith("_") or name == "ask" or f"`client.{name}(" in PAGE or f"`{name}()`" in PAGE, name
    for name in list(inspect.signature(Client).parameters)[1:]:
        assert re.search(rf"^\| `{name}", PAGE, re.MULTILINE), name
