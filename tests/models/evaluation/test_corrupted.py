"""Spoilt images are shown in every way, each counted by itself."""

import numpy as np

from models.datasets.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from models.datasets.dataset import Dataset
from models.evaluation.corrupted import CORRUPTED_VIEWS, evaluate_corrupted


class Photometer:
    """Puts an image into one of four classes by its mean."""

    device, concurrent_runs = "cpu", 1

    def logits(self, images):
        return np.eye(4, dtype=np.float32)[images.mean((1, 2, 3)).astype(int) // 64]


def test_spoilt_images_are_shown_at_every_severity_of_every_corruption():
    images = np.random.default_rng(0).integers(0, 256, (250, 8, 8, 3), np.uint8)
    labels = Photometer().logits(images).argmax(1)
    progress = []
    found = evaluate_corrupted(
        Photometer(), Dataset("made", images[:0], labels[:0], images, labels, tuple("abcd")), progress.append
    )
    assert list(found) == list(CORRUPTIONS)
    for name, results in found.items():
        for severity, result in zip(SEVERITIES, results, strict=True):
            said = Photometer().logits(corrupt(images, name, severity)).argmax(1)
            assert result.accuracy == (said == labels).mean()
    assert progress == sorted(progress) and progress[-1] == 250 * CORRUPTED_VIEWS == 250 * 50
