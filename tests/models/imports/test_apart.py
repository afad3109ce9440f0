import os
import signal
from pathlib import Path

import numpy as np
import onnx
import pytest

from models.imports.apart import apart
from models.imports.importing import import_network
from models.imports.original import read_original
from models.imports.trial import Trial
from models.imports.wish import Wish
from scs.errors import ModelError
from tests.models.imports.test_refusals import network


def test_a_session_outlives_the_process_that_another_network_ended():
    session = Trial(network())
    with pytest.raises(ModelError, match="ended the process in which it was tried"):
        apart.ask(os.kill, apart.ask(os.getpid), signal.SIGFPE)
    assert session.source == Trial(network()).source
    assert session.run(None, {session.source: np.zeros((1, 3, 32, 32), np.float32)})[0].shape == (1, 5)


@pytest.mark.slow
def test_a_network_that_ends_the_process_on_small_pictures_takes_larger_ones():
    file = Path(onnx.__file__).parent / "backend/test/data/light/light_squeezenet.onnx"
    found = import_network(read_original(file), Wish(preprocess="imagenet"), "net", 1)
    assert found.card.input.smallest_size == (23, 23)
