"""Calibration of a model from its logits: whether its confidence matches its accuracy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 15


@dataclass(frozen=True)
class Calibration:
    """A reliability diagram (confidence and accuracy by bin) and the log loss; bin i is (i / BINS, (i + 1) / BINS].

    ``counts`` are the images whose confidence, the probability of the class named, lies in each bin; ``confidence`` and
    ``accuracy`` are their means, 0 where there are none. ``negative_log_likelihood`` is the mean over all images of
    minus the natural logarithm of the true class's probability.
    """

    counts: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    negative_log_likelihood: float

    @property
    def expected_error(self) -> float:
        """Expected calibration error (ECE), 0 to 1: the mean gap between accuracy and confidence over all images.

        Source:
            C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, "On Calibration of Modern Neural Networks" (2017).
        """
        gaps = np.abs(self.accuracy - self.confidence)
        return float((self.counts * gaps).sum() / self.counts.sum())


def calibration_of(logits: NDArray[np.floating], labels: NDArray[np.int64]) -> Calibration:
    """Measure how well the probabilities of logits ``(N, classes)`` are calibrated on true classes ``(N,)``, N > 0."""
    log_probabilities = log_softmax(logits)
    confidence = np.exp(log_probabilities.max(1))
    correct = logits.argmax(1) == labels
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    at_least_one = np.maximum(counts, 1)
    return Calibration(
        counts=counts,
        confidence=np.bincount(bins, confidence, BINS) / at_least_one,
        accuracy=np.bincount(bins, correct, BINS) / at_least_one,
        negative_log_likelihood=float(-log_probabilities[np.arange(len(labels)), labels].mean()),
    )


def log_softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return natural logarithms of the probabilities of logits ``(N, classes)``, in float64."""
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    probabilities: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return probabilities
