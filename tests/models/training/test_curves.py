"""The picture of a training shows its loss and both accuracies."""

import json

import numpy as np
import pytest
from PIL import Image

from models.training.curves import draw_curves

GREY = (0x66, 0x66, 0x66)


@pytest.mark.parametrize("best, losses", [(None, False), (2, True)], ids=["of old", "stopped early"])
def test_the_picture_is_a_png_with_a_line_for_all_that_was_measured(best, losses, tmp_path):
    lines = [
        {"epoch": i, "loss": 1 / i, "train_accuracy": 0.9 - 0.5 / i, "validation_accuracy": 0.8 - 0.5 / i}
        | ({"validation_loss": 1.2 / i} if losses else {})
        for i in (1, 2, 3)
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    draw_curves(tmp_path / "log.jsonl", tmp_path / "curves.png", "shapes-scs, seed 0", best)
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.format == "PNG"
        pixels = np.asarray(picture.convert("RGB"))
    left, right = np.array_split(pixels, 2, axis=1)
    blue, orange = (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)
    shown = [[(half == colour).all(2).sum() > 100 for colour in (blue, orange)] for half in (left, right)]
    assert shown == [[True, losses], [True, True]]
    marked = [(half == GREY).all(2).sum() > 50 for half in (left, right)]
    assert marked == [best is not None] * 2
