"""The registry of the laboratory."""

import sys

import pytest

from lab.topics import TOPICS, topics_named
from scs.errors import MissingPackageError, UnknownNameError


def test_all_names_every_topic_and_a_name_its_own():
    assert topics_named("all") == list(TOPICS.values())
    assert [topic.name for topic in topics_named("signal")] == ["signal"]


def test_an_unknown_topic_is_refused_with_those_that_there_are():
    with pytest.raises(UnknownNameError, match="no topic 'sound'; there are: signal, .*all"):
        topics_named("sound")


def test_a_topic_without_its_packages_says_what_it_needs(monkeypatch):
    monkeypatch.delitem(sys.modules, "lab.signal", raising=False)
    monkeypatch.delitem(sys.modules, "lab.drawing", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.axes", None)
    with pytest.raises(MissingPackageError, match=r"scs lab needs matplotlib.axes: pip install 'scs-serve\[train\]'"):
        TOPICS["signal"].load()
