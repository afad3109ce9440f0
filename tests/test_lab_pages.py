"""What docs/lab says is so: every topic has its page, its tables are its figures', its commands run as pasted."""

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from lab.topics.catalogue import TOPICS

ROOT = Path(__file__).parent.parent
LAB = ROOT / "docs" / "lab"
CONTENTS = (LAB / "README.md").read_text()
LARGEST = {".png": 150_000, ".jpg": 150_000, ".gif": 500_000, ".csv": 150_000, ".json": 150_000}  # bytes
LONG = "waldo", "exercises"  # whose commands take more than ten seconds


def page(topic: str) -> str:
    return (LAB / f"{topic}.md").read_text()


def test_the_contents_list_every_page_in_the_order_of_the_topics():
    assert re.findall(r"^\| \[.*?\]\((\S+)\.md\)", CONTENTS, re.MULTILINE) == list(TOPICS)
    assert set(TOPICS) | {"README"} == {path.stem for path in LAB.glob("*.md")}


@pytest.mark.parametrize("topic", TOPICS)
def test_a_page_leads_with_a_picture_and_says_what_to_see(topic):
    assert re.match(r"# .+\n\n!\[.+\]\(.+\)\n\n\*", page(topic))


@pytest.mark.parametrize("topic", TOPICS)
def test_the_tables_are_those_of_the_figures_and_these_are_of_a_run_in_full(topic):
    filled = runpy.run_path(str(ROOT / "docs" / "tables"))["filled"]
    assert filled(page(topic)) == page(topic), "run: python docs/tables"
    figures = json.loads((LAB / "pictures" / topic / "figures.json").read_text())
    assert not figures["quick"]
    for name in TOPICS[topic].load().tables(figures):
        assert f"<!-- table: lab_{topic}_{name} -->" in page(topic)


@pytest.mark.parametrize("topic", TOPICS)
def test_a_page_shows_every_picture_of_its_topic_and_none_is_large(topic):
    for path in (LAB / "pictures" / topic).iterdir():
        assert path.stat().st_size <= LARGEST[path.suffix], path
        assert path.name == "figures.json" or f"pictures/{topic}/{path.name}" in page(topic), path


@pytest.mark.parametrize(
    "name",
    ["README", *(pytest.param(topic, marks=[pytest.mark.slow] if topic in LONG else []) for topic in TOPICS)],
)
def test_the_commands_of_a_page_run_as_pasted(name, tmp_path):
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    for command in re.findall(r"```sh\n(.*?)```", page(name), re.DOTALL):
        shell = f'set -e; scs() {{ "{sys.executable}" -m service.cli "$@"; }}\n{command}'
        done = subprocess.run(["bash", "-c", shell], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
