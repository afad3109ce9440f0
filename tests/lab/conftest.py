"""Each topic is run once, in its quick form, for all tests of the laboratory."""

from functools import cache

import pytest

from lab.topics.catalogue import TOPICS


@cache
def _ran(topic):
    steps = []
    figures = TOPICS[topic].load().run(True, lambda done, total: steps.append((done, total)))
    return figures, steps


@pytest.fixture(scope="session")
def quick():
    """From a topic's name to its figures, and to the steps that it said were done, of how many."""
    return _ran
