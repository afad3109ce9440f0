"""Commands of other packages, which ``scs`` finds by their entry points."""

import os
import subprocess
import sys

import pytest

POINTS = """[scs.commands]
bark = kennel:bark
broken = kennel:meow
gone = nowhere:run
predict = kennel:bark
"""


@pytest.fixture
def scs(tmp_path):
    """Run ``scs`` beside a package that brings a sound command, two broken ones and one of a name of ours."""
    (tmp_path / "kennel.py").write_text(
        "def bark(loud: bool = False):\n    \"Bark.\"\n    print('WOOF' if loud else 'woof')\n"
    )
    about = tmp_path / "kennel-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: kennel\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(POINTS)
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])

    def run(*arguments):
        command = [sys.executable, "-m", "service.cli", *arguments]
        return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path})

    return run


def test_a_command_of_another_package_is_listed_and_runs(scs):
    assert "Bark." in scs("--help").stdout
    assert scs("bark", "--loud").stdout == "WOOF\n"
    assert "--loud" in scs("bark", "--help").stdout


def test_help_says_in_a_sentence_what_cannot_be_loaded_and_lists_the_rest(scs):
    shown = scs("--help")
    assert shown.returncode == 0 and "serve" in shown.stdout and "broken" not in shown.stdout
    said = shown.stderr.splitlines()
    assert len(said) == 2
    assert said[0].startswith("scs: the command 'broken' of kennel cannot be loaded from kennel:meow: ")
    assert said[1].startswith("scs: the command 'gone' of kennel cannot be loaded from nowhere:run: No module named")


def test_a_broken_command_that_is_asked_for_is_one_sentence_and_a_failure(scs):
    failed = scs("gone")
    assert failed.returncode == 1 and failed.stderr.count("\n") == 1
    assert failed.stderr.startswith("scs: the command 'gone' of kennel cannot be loaded from nowhere:run: ")


def test_another_command_neither_minds_nor_imports_what_others_bring(scs):
    watched = (
        "import sys; sys.argv[1:] = ['models', '--help']\n"
        "from service.cli.main import main\n"
        "try: main()\n"
        "finally: print({'kennel', 'lab'} & set(sys.modules), file=sys.stderr)"
    )
    assert scs("serve", "--help").stderr == ""
    shown = subprocess.run([sys.executable, "-c", watched], capture_output=True, text=True)
    assert shown.returncode == 0 and shown.stderr == "set()\n"


def test_a_command_of_scs_itself_cannot_be_replaced(scs):
    assert "woof" not in scs("predict").stdout and "--top-k" in scs("predict", "--help").stdout


def test_the_laboratory_brings_its_commands():
    shown = subprocess.run([sys.executable, "-m", "service.cli", "--help"], capture_output=True, text=True)
    assert shown.stderr == "" and all(f" {name} " in shown.stdout for name in ("lab", "visualize", "waldo"))


def test_a_command_imports_nothing_of_the_others():
    watched = (
        "import sys; sys.argv[1:] = ['models', '--help']\n"
        "from service.cli.main import main\n"
        "try: main()\n"
        "finally: print(*[name for name in sys.modules if name.startswith('service.')], file=sys.stderr)"
    )
    shown = subprocess.run([sys.executable, "-c", watched], capture_output=True, text=True)
    loaded = set(shown.stderr.split())
    assert "service.cli.models" in loaded
    assert not {"service.cli.serve", "service.cli.train", "service.cli.map", "service.app"} & loaded


def test_a_name_that_is_nearly_a_command_is_answered_with_that_command(scs):
    assert scs("predic").stderr == "scs: No such command 'predic'. Did you mean 'predict'?\n"
