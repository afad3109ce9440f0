"""Mutated pictures of every format: each is answered or refused, none breaks the service or takes its memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

MUTATIONS = Path(__file__).with_name("mutations.py")
MOST_GROWTH_MIB = 300  # a picture of four million pixels, a few times over, as decoding and resizing have it


@pytest.mark.parametrize(
    ("count", "seed"), [(480, 1), pytest.param(20_000, 2, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
)
def test_mutated_pictures_are_answered_or_refused_and_memory_stays(count, seed):
    done = subprocess.run([sys.executable, MUTATIONS, str(count), str(seed)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    came = json.loads(done.stdout)
    assert not came["wrong"]
    assert sum(came["statuses"].values()) == count
    assert came["statuses"]["200"] > count / 20, "some are still pictures"
    assert came["statuses"]["400"] > count / 20, "some are not"
    assert came["grown_mib"] < MOST_GROWTH_MIB, came
