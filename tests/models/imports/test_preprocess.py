import json

import numpy as np
import pytest

from models.imports.hints import from_folder, from_metadata
from models.imports.preprocess import from_json, parse
from scs.errors import OptionError

PIXELS = np.array([[[[255, 127, 0]]]], np.uint8)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("none", [255, 127, 0]),
        ("0-1", [1, 127 / 255, 0]),
        ("tf", [1, 127 / 127.5 - 1, -1]),
        ("inception", [1, 127 / 127.5 - 1, -1]),
        ("imagenet", [(1 - 0.485) / 0.229, (127 / 255 - 0.456) / 0.224, -0.406 / 0.225]),
        ("caffe", [0 - 103.939, 127 - 116.779, 255 - 123.68]),
        ("scale=1/255 mean=0.5 std=0.5 order=bgr", [-1, 127 / 127.5 - 1, 1]),
    ],
)
def test_pixels_become_what_the_preset_s_users_know(text, expected):
    np.testing.assert_allclose(parse(text, None).apply(PIXELS).ravel(), expected, atol=1e-5)


def test_a_preset_cuts_an_eighth_off_at_any_size():
    assert parse("imagenet", None).geometry.shorter_side == 256
    assert parse("imagenet", 448).geometry.shorter_side == 512


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("imagnet", "no preset, no file and no numbers"),
        ("mean=a", "mean is numbers"),
        ("deviation=0", "not 0"),
        ("colour=rgb", "has no 'colour'"),
        ("order=gbr", "order is rgb or bgr"),
        ("resize=crop", "needs shorter_side"),
        ("scale=1 mean", "key=value"),
    ],
)
def test_what_cannot_be_is_one_sentence(text, message):
    with pytest.raises(OptionError, match=message):
        parse(text, None)


def test_a_file_of_hugging_face_is_read_in_its_own_order(tmp_path):
    said = {
        "do_resize": True, "size": {"shortest_edge": 248}, "do_center_crop": True,
        "crop_size": {"height": 224, "width": 200},
        "do_normalize": True, "image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.5, 0.5], "resample": 3,
    }  # fmt: skip
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    found = from_folder(tmp_path)
    assert (found.geometry.mode, found.geometry.shorter_side, found.size) == ("crop", 248, (200, 224))
    assert (found.mean, found.scale) == ((0.1, 0.2, 0.3), 1 / 255)


def test_a_configuration_of_timm_is_read():
    said = {
        "input_size": [3, 240, 240],
        "crop_pct": 0.9,
        "interpolation": "bicubic",
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
    }
    found = from_json({"pretrained_cfg": said}, "config.json")
    assert (found.size, found.geometry.shorter_side, found.geometry.interpolation) == ((240, 240), 266, "bicubic")


def test_metadata_of_onnx_and_of_ultralytics_is_read():
    image = {"Image.NominalPixelRange": "Normalized_1_1", "Image.BitmapPixelFormat": "Bgr8"}
    np.testing.assert_allclose(from_metadata(image).apply(PIXELS).ravel(), [-1, 127 / 127.5 - 1, 1], atol=1e-5)
    boxes = from_metadata({"imgsz": "[320, 640]", "names": "{0: 'cat'}", "task": "detect"})
    assert (boxes.geometry.mode, boxes.geometry.fill, boxes.size) == ("letterbox", 114, (640, 320))
    assert from_metadata({"author": "somebody"}) is None
