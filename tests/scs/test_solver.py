"""The conic solver that has our import name is noticed, and what to do is said."""

import subprocess
import sys

import pytest

from scs.solver import WARNING


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


@pytest.mark.parametrize("name", ["scs-3.3.1.dist-info", "scs-3.2.0-py3.11.egg-info"])
def test_a_solver_beside_scs_is_warned_of_once(tmp_path, name):
    (tmp_path / name).mkdir()
    code = f"import sys; sys.path.append({str(tmp_path)!r}); import scs.solver; scs.solver.warn_of_solver()"
    done = run(code)
    assert done.returncode == 0
    assert done.stderr.count(WARNING) == 1
    assert "<string>:1: RuntimeWarning" in done.stderr, "it names the line that imports scs"


def test_scs_serve_itself_and_others_with_such_a_name_are_no_solver(tmp_path):
    for name in ("scs_serve-0.1.0.dist-info", "scsutils-1.0.dist-info", "scs", "scs-notes.txt"):
        (tmp_path / name).mkdir()
    code = f"import sys; sys.path += [{str(tmp_path)!r}, {str(tmp_path / 'missing')!r}]; import scs"
    done = run(code)
    assert done.returncode == 0
    assert done.stderr == ""
