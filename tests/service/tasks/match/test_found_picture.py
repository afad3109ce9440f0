"""What was found, drawn on the scene."""

import io

import numpy as np
import pytest
import skimage.data

from scs.errors import OptionError
from service.api.files import MatchUpload, NamedBytes
from service.api.match import MatchOptions
from service.settings import Settings
from service.tasks.match.answer import to_match_response
from service.tasks.match.find import find_matches
from service.tasks.match.found_picture import draw_found


def array(values):
    stream = io.BytesIO()
    np.save(stream, values)
    return NamedBytes("scene.npy", stream.getvalue(), is_npy=True)


def drawn(scene, template):
    upload = MatchUpload(array(scene), [array(template)])
    found = find_matches(upload, MatchOptions(top=1), Settings(device="cpu"))
    return np.asarray(draw_found(upload.scene, to_match_response(found), 10**6))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_outline_lies_round_the_match_and_nowhere_else(dtype):
    scene = skimage.data.camera()[100:300, 100:300].astype(dtype)
    picture = drawn(scene, scene[60:110, 50:120]).astype(int)
    coloured = np.ptp(picture, axis=2) > 60  # the scene is grey
    rows, columns = np.nonzero(coloured)
    assert coloured.sum() > 200
    assert (columns.min(), columns.max()) == pytest.approx((50, 120), abs=3)
    assert (rows.min(), rows.max()) == pytest.approx((60, 110), abs=3)


def test_a_signal_has_no_picture():
    signal = np.sin(np.arange(400) / 7).astype(np.float32) + np.random.default_rng(0).normal(0, 0.3, 400)
    with pytest.raises(OptionError, match="no picture to draw on"):
        drawn(signal, signal[100:150])
