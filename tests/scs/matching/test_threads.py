import multiprocessing
import os

import numpy as np
import pytest

from scs.errors import OptionError
from scs.matching.scores import score_map
from scs.matching.threads import available_threads, check_threads

SCENE = np.random.default_rng(0).integers(0, 256, (400, 400), dtype=np.uint8)


def highest():
    return float(score_map(SCENE, SCENE[100:140, 200:240], threads=2).scores.max())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_of_a_process_that_has_matched_can_match():
    assert highest() == pytest.approx(1)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply_async(highest).get(timeout=60) == pytest.approx(1)


def test_threads_are_every_core_or_as_many_as_were_asked_for():
    assert check_threads(None) == available_threads() >= 1
    assert check_threads(3) == 3
    with pytest.raises(OptionError, match="threads are 1 or more; 0 came"):
        score_map(SCENE, SCENE[:5, :5], threads=0)
