"""The picture of a training shows its loss and both accuracies."""

import json

import numpy as np
from PIL import Image

from models.training.curves import draw_curves


def test_the_picture_is_a_png_with_a_line_for_either_accuracy(tmp_path):
    lines = [
        {"epoch": i, "loss": 1 / i, "train_accuracy": 0.9 - 0.5 / i, "validation_accuracy": 0.8 - 0.5 / i, "seconds": 1}
        for i in (1, 2, 3)
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    draw_curves(tmp_path / "log.jsonl", tmp_path / "curves.png", "shapes-scs, seed 0")
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.format == "PNG"
        pixels = np.asarray(picture.convert("RGB"))
    left, right = np.array_split(pixels, 2, axis=1)
    blue, orange = (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)
    shown = [[(half == colour).all(2).sum() > 100 for colour in (blue, orange)] for half in (left, right)]
    assert shown == [[True, False], [True, True]]
