"""The public names: all there, typed as they are, and nothing loaded before it is used."""

import ast
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import scs
from scs.errors import MissingPackageError

STUB = Path(scs.__file__).with_name("__init__.pyi")
SERVER_ONLY = {"fastapi", "starlette", "PIL", "onnx", "onnxruntime", "cv2", "uvicorn", "typer", "matplotlib"}


def loaded_by(code: str) -> set[str]:
    """Names of the packages that a fresh Python has loaded after this code and had not before."""
    script = f"import sys, json; before = set(sys.modules)\n{code}\nprint(json.dumps(list(set(sys.modules) - before)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return {module.partition(".")[0] for module in json.loads(done.stdout)}


def test_importing_scs_loads_nothing_but_itself():
    assert loaded_by("import scs") - set(sys.stdlib_module_names) == {"scs"}


@pytest.mark.parametrize("code", ["import scs; scs.Client", "import service.client", "from scs import Client"])
def test_the_client_loads_nothing_of_the_server(code):
    loaded = loaded_by(code)
    assert "httpx2" in loaded
    assert not loaded & SERVER_ONLY


def test_matching_loads_neither_torch_nor_the_server():
    assert not loaded_by("import scs; scs.find") & {"torch", "fastapi", "onnxruntime", "pydantic"}


@pytest.mark.parametrize("name", scs.__all__)
def test_every_public_name_is_an_object_of_its_module(name):
    value = getattr(scs, name)
    assert getattr(import_module(value.__module__), name) is value
    assert name in dir(scs)


def test_a_star_import_brings_every_public_name():
    names = {}
    exec("from scs import *", names)
    assert set(scs.__all__) <= names.keys()


def test_type_checkers_see_the_same_names_in_the_same_modules():
    tree = ast.parse(STUB.read_text())
    typed = {each.name: node.module for node in tree.body if isinstance(node, ast.ImportFrom) for each in node.names}
    assert typed == {name: getattr(scs, name).__module__ for name in scs.__all__}
    (exported,) = (node.value for node in tree.body if isinstance(node, ast.Assign))
    assert sorted(scs.__all__) == ast.literal_eval(exported)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'scs' has no attribute 'solve'"):
        scs.solve  # noqa: B018


@pytest.mark.parametrize(
    ("name", "missing", "extra"),
    [("find", "cv2", "matching"), ("Client", "httpx2", "client"), ("MaxAbsPool2d", "torch", "layers")],
)
def test_a_missing_package_is_said_with_the_extra_that_brings_it(name, missing, extra):
    code = f"import sys; sys.modules[{missing!r}] = None\nimport scs; scs.{name}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    said = done.stderr.splitlines()[-1]
    assert MissingPackageError.__name__ in said
    assert f"scs.{name} needs {missing}, which is not installed: pip install 'scs-serve[{extra}]'" in said
