"""The library is built by whoever has a compiler, and nobody is kept from anything without one."""

import subprocess
import sys

import pytest

from models.onnx.native import build


def run(*arguments, **environment):
    command = [sys.executable, build.__file__, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


@pytest.fixture
def stale(monkeypatch):
    monkeypatch.setattr(build, "is_current", lambda: False)


def test_a_library_that_is_newer_than_its_sources_is_kept(native_library):
    assert build.is_current(native_library)
    assert not build.is_current(native_library.with_name("another.so"))


@pytest.mark.parametrize("wish, status", [([], 1), (["--if-possible"], 0)])
def test_without_a_compiler_one_line_says_what_is_needed(wish, status, stale, monkeypatch, capsys):
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setattr(sys, "argv", ["build.py", *wish])
    assert build.main() == status
    assert capsys.readouterr().err.splitlines()[-1] == (
        "no native kernels: a C++ compiler is needed, such as g++; there is no no-such-compiler"
    )


def test_a_compiler_that_fails_leaves_no_library_and_says_so_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "false")
    with pytest.raises(build.BuildError, match=r"\Afalse failed: it said nothing\Z"):
        build.build(tmp_path / "libscs.so")
    assert list(tmp_path.iterdir()) == []
