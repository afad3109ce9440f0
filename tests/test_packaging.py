"""Each extra installs what it is for; the commands and the import say what is missing, and what is in the way."""

import os
import re
import subprocess
import sys
import tomllib
import venv
from importlib import import_module
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import numpy
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scs.solver import WARNING

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
# Hides what an extra does not bring, as if it were not installed.
HIDE = """
import sys
from importlib.abc import MetaPathFinder

class Hidden(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hidden())
"""


def run(*command: object, folder: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    return subprocess.run([*map(str, command)], capture_output=True, text=True, cwd=folder, env=environment)


def brought_by(extra: str) -> set[str]:
    """Names of the distributions that an extra installs, with all that those need."""
    found: set[str] = set()
    waiting = [Requirement(each) for each in PROJECT["optional-dependencies"][extra]]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name == "scs-serve":
            for other in requirement.extras:
                waiting += map(Requirement, PROJECT["optional-dependencies"][other])
        elif name not in found:
            found.add(name)
            waiting += [
                each
                for each in map(Requirement, requires(name) or [])
                if any(each.marker is None or each.marker.evaluate({"extra": of}) for of in ("", *requirement.extras))
            ]
    return found


def with_only(extra: str, code: str) -> subprocess.CompletedProcess[str]:
    """Run a piece of Python where only the packages of an extra can be imported."""
    brought = brought_by(extra)
    hidden = {
        module
        for module, distributions in packages_distributions().items()
        if not {"scs-serve", *brought} & {canonicalize_name(name) for name in distributions}
    }
    return run(sys.executable, "-c", f"HIDDEN = {hidden - set(sys.stdlib_module_names)!r}\n{HIDE}\n{code}")


def test_the_client_needs_httpx2_and_pydantic_and_what_those_need():
    assert {"httpx2", "pydantic"} <= brought_by("client")
    assert not brought_by("client") & {"fastapi", "starlette", "pillow", "onnx", "uvicorn", "typer"}


@pytest.mark.parametrize("extra", ["cpu", "matching", "client", "grpc", "otel"])
def test_torch_is_never_brought_by_what_serves(extra):
    assert brought_by(extra)
    assert "torch" not in brought_by(extra)


@pytest.mark.parametrize(
    ("extra", "code"),
    [
        (
            "client",
            "scs.Client('http://127.0.0.1:8000'); scs.AsyncClient; scs.Matches; scs.Activations",
        ),
        ("matching", "import numpy; print(scs.find(numpy.eye(9), [numpy.eye(3)]).matches)"),
        ("layers", "import torch; print(scs.SharpenedCosineSimilarity2d(1, 2, 3)(torch.zeros(1, 1, 9, 9)))"),
        ("cpu", "scs.load_model; scs.find; scs.Client; from service.app import create_app; create_app()"),
    ],
)
def test_an_extra_brings_what_its_part_of_scs_needs(extra, code):
    done = with_only(extra, f"import scs; {code}")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("extra", "code", "other"), [("client", "scs.find", "matching"), ("matching", "scs.max_abs_pool", "layers")]
)
def test_what_an_extra_does_not_bring_is_refused_with_the_one_that_does(extra, code, other):
    assert f"pip install 'scs-serve[{other}]'" in with_only(extra, f"import scs; {code}").stderr


def test_the_commands_are_functions_that_exist():
    assert PROJECT["scripts"].keys() == {"scs", "scs-serve"}
    for place in PROJECT["scripts"].values():
        module, _, name = place.partition(":")
        assert callable(getattr(import_module(module), name))


def test_extras_that_the_documentation_names_exist():
    code = [file for folder in ("scs", "models", "service") for file in (ROOT / folder).rglob("*.py")]
    pages = [ROOT / "README.md", *ROOT.glob("docs/*.md"), *code]
    named = {extra for page in pages for extra in re.findall(r"scs-serve\[([a-z,]+)\]", page.read_text())}
    assert {"client", "cpu"} <= named
    assert {each for extras in named for each in extras.split(",")} <= PROJECT["optional-dependencies"].keys()


@pytest.fixture(scope="module")
def wheels(tmp_path_factory) -> dict[str, Path]:
    """Wheels of this project and of the real solver."""
    folder = tmp_path_factory.mktemp("wheels")
    fetched = run(*PIP, "download", "--no-deps", "--dest", folder, "scs")
    if fetched.returncode:
        pytest.skip(f"needs a package index, to fetch the solver: {fetched.stderr.strip().splitlines()[-1]}")
    built = run(*PIP, "wheel", "--no-deps", "--wheel-dir", folder, ROOT)
    assert built.returncode == 0, built.stderr
    return {wheel.name.partition("-")[0]: wheel for wheel in folder.glob("*.whl")}


@pytest.fixture
def python(tmp_path) -> Path:
    """The Python of a fresh environment."""
    venv.create(tmp_path / "venv")
    return tmp_path / "venv" / "bin" / "python"


def install(python: Path, *what: object) -> None:
    done = run(*PIP, "--python", python, "install", *what)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_client_alone_is_installed_and_the_command_says_what_it_lacks(wheels, python, tmp_path):
    install(python, f"{wheels['scs_serve']}[client]")
    imported = run(
        python, "-c", "import scs; print(scs.Client('http://127.0.0.1:1').url)", folder=tmp_path, PYTHONPATH=""
    )
    assert imported.stdout == "http://127.0.0.1:1\n", imported.stderr

    refused = run(python.with_name("scs-serve"), folder=tmp_path, PYTHONPATH="")
    assert refused.returncode == 2
    needed = "needs typer, which is not installed: pip install 'scs-serve[cpu]', or 'scs-serve[gpu]' for an NVIDIA GPU"
    assert refused.stderr == f"scs: this command {needed}\n"


@pytest.mark.slow
@pytest.mark.parametrize("order", [("scs", "scs_serve"), ("scs_serve", "scs")], ids=" then ".join)
def test_the_command_and_the_import_say_that_the_solver_is_installed_too(order, wheels, python, tmp_path):
    """Whichever came second has overwritten the other's ``scs/__init__.py``; the solver's own does not speak of us."""
    for name in order:
        install(python, "--no-deps", wheels[name])
    # NumPy and SciPy, which the solver needs, and the packages for serving come from the environment of the tests.
    (packages,) = python.parents[1].glob("lib/*/site-packages")
    (packages / "borrowed.pth").write_text(str(Path(numpy.__file__).parents[1]))

    for command in ("scs", "scs-serve"):
        shown = run(python.with_name(command), "--version", folder=tmp_path, PYTHONPATH="")
        assert shown.stdout.startswith("scs-serve "), shown.stderr
        assert shown.stderr.count(WARNING) == 1

    imported = run(python, "-c", "import scs; print(hasattr(scs, 'SCS'))", folder=tmp_path, PYTHONPATH="")
    solver_is_last = order[-1] == "scs"
    assert imported.stdout == f"{solver_is_last}\n"
    assert (WARNING in imported.stderr) is not solver_is_last
