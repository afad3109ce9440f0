"""The installed commands: `scs-serve` is `scs serve`, and what is missing is one line."""

import subprocess
import sys
from importlib.metadata import version

import pytest


def run(function, *arguments, before="", **variables):
    code = f"import sys; {before}\nfrom service.cli.start import {function}; {function}()"
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)


@pytest.mark.parametrize("arguments", [["--help"], ["--port", "99999"]])
def test_scs_serve_is_scs_serve(arguments):
    short = run("run_scs_serve", *arguments)
    long = run("run_scs", "serve", *arguments, before="sys.argv[0] = 'scs'")
    assert "--port" in short.stdout + short.stderr
    assert (short.returncode, short.stdout, short.stderr) == (long.returncode, long.stdout, long.stderr)


@pytest.mark.parametrize("function", ["run_scs", "run_scs_serve"])
def test_both_commands_show_the_version(function):
    assert run(function, "--version").stdout == f"scs-serve {version('scs-serve')}\n"


@pytest.mark.parametrize("missing", ["typer", "onnxruntime", "fastapi"])
def test_a_package_that_is_missing_is_one_line_with_the_extra_that_brings_it(missing):
    done = run("run_scs", "serve", before=f"sys.modules[{missing!r}] = None")
    assert done.returncode == 2
    assert done.stderr.startswith(
        f"scs: this command needs {missing}, which is not installed: pip install 'scs-serve[cpu]'"
    )
    assert done.stderr.count("\n") == 1
