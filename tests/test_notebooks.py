"""The notebooks of the documentation are valid, and run from top to bottom, with sliders and without."""

import ast
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parent.parent / "docs" / "notebooks"
NOTEBOOKS = {path.stem: path for path in FOLDER.glob("*.ipynb")}
WITHOUT_WIDGETS = "import sys; sys.modules['ipywidgets'] = None"


@pytest.fixture(scope="module")
def server(serve):
    with serve() as url:
        yield url


def run(name, url, first=""):
    """Run a notebook in its folder, as Jupyter does; return what it printed, and the kinds of what it showed."""
    notebook = nbformat.read(NOTEBOOKS[name], 4)
    for cell in notebook.cells:
        cell.source = cell.source.replace("http://127.0.0.1:8000", url)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(first))
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(FOLDER)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    return "".join(output.get("text", "") for output in outputs), [set(output.get("data", {})) for output in outputs]


def test_there_are_three():
    assert set(NOTEBOOKS) == {"look-inside", "find-it", "cosine"}


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_valid_and_keeps_no_output_that_could_be_stale(name):
    notebook = nbformat.read(NOTEBOOKS[name], 4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None
            ast.parse(cell.source)
        for target in re.findall(r"\]\((?!\w+:)([^)#]+)\)", cell.source):
            assert (FOLDER / target).exists(), target


@pytest.mark.slow
def test_the_notebook_of_layers_says_that_the_mean_plus_the_bias_is_the_logit(server):
    printed, shown = run("look-inside", server)
    total, logit = re.search(r"mean of the map plus bias (\S+), logit (\S+)", printed).groups()
    assert total == logit
    assert re.findall(r"^(\w+) +also at 7[123]\d, 3[34]\d,", printed, re.MULTILINE) == ["stem", "block1", "block2"]
    assert sum("text/html" in kinds for kinds in shown) == 2 and sum("image/png" in kinds for kinds in shown) == 4


@pytest.mark.slow
def test_the_notebook_of_templates_finds_what_is_there_and_nothing_else(server):
    printed, shown = run("find-it", server)
    assert re.findall(r"^(\w+) +at .* present: (\w+)", printed, re.MULTILINE) == [
        *(("ccorr", "False"), ("ccoeff_normed", "True"), ("scs_centred", "True"))
    ]
    assert re.findall(r"^angles (\S+):.* present: (\w+)", printed, re.MULTILINE) == [
        *(("None", "False"), ("-45:45", "True"))
    ]
    assert sum("text/html" in kinds for kinds in shown) == 4


@pytest.mark.slow
@pytest.mark.parametrize("first", ["", WITHOUT_WIDGETS], ids=["sliders", "without ipywidgets"])
def test_the_notebook_of_cosine_shows_how_often_each_finds_the_plus(first):
    printed, shown = run("cosine", "", first)
    found = {key: ast.literal_eval(text) for key, text in re.findall(r"contrast (\S+): (\{.*\})", printed)}
    assert found["0.2"] == {"dot product": 0.0, "cosine": 1.0, "sharpened cosine": 1.0}
    assert found["2.0"]["dot product"] == 1.0
    assert found["0.05"]["cosine"] < found["0.05"]["sharpened cosine"] < 0.5
    assert float(re.search(r"largest difference: (\S+)", printed)[1]) < 1e-6
    sliders = any("application/vnd.jupyter.widget-view+json" in kinds for kinds in shown)
    assert sliders is not bool(first) and ("sliders need ipywidgets" in printed) is bool(first)
