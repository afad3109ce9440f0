"""The registry of the laboratory."""

import json
import sys

import pytest
from PIL import Image

from lab.topics.catalogue import TOPICS, topics_named
from scs.errors import MissingPackageError, UnknownNameError


def test_all_names_every_topic_and_a_name_its_own():
    assert topics_named("all") == list(TOPICS.values())
    assert [topic.name for topic in topics_named("signal")] == ["signal"]


def test_an_unknown_topic_is_refused_with_those_that_there_are():
    with pytest.raises(UnknownNameError, match="no topic 'sound'; there are: signal, .*all"):
        topics_named("sound")


def test_a_topic_without_its_packages_says_what_it_needs(monkeypatch):
    monkeypatch.delitem(sys.modules, "lab.topics.signal", raising=False)
    monkeypatch.delitem(sys.modules, "lab.drawing", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.axes", None)
    with pytest.raises(MissingPackageError, match=r"scs lab needs matplotlib.axes: pip install 'scs-serve\[train\]'"):
        TOPICS["signal"].load()


@pytest.mark.parametrize("name", TOPICS)
def test_figures_are_json_and_so_are_their_tables(name, quick):
    figures, _ = quick(name)
    tables = TOPICS[name].load().tables
    assert tables(json.loads(json.dumps(figures))) == tables(figures)
    assert all(len(row) == len(table.heads) for table in tables(figures).values() for row in table.rows)


@pytest.mark.parametrize("name", TOPICS)
def test_the_progress_ends_where_it_said_it_would(name, quick):
    _, steps = quick(name)
    assert [done for done, _ in steps] == list(range(1, steps[-1][1] + 1))


@pytest.mark.parametrize("name", TOPICS)
def test_the_pictures_are_drawn(name, quick, tmp_path):
    pictures = [path for path in TOPICS[name].load().draw(quick(name)[0], tmp_path) if path.suffix in (".png", ".jpg")]
    assert pictures
    for path in pictures:
        with Image.open(path) as picture:
            assert picture.width == 1000
