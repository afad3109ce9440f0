"""Text: why neighbours in the alphabet are no neighbours, and what order adds to a bag of words."""

from __future__ import annotations

import re
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from lab.drawing import BLUE, panels, save
from lab.tables import Table, percent
from scs.matching.scores import score_map

ALPHABET = "abcdefghijklmnopqrstuvwxyz "
SENTENCE = "the hat sat on a mat and the cat had a dog"
QUESTIONS = {"itself": "cat", "a neighbour in the alphabet": "dbs", "another word": "dog", "one letter changed": "hat"}
ENOUGH = 100  # sentences of a topic to take it
LONGEST = 24  # words of a sentence that are read
PAIRS = ("good", "bad", "cheap", "dear", "fast", "slow")
DATA = ("which page of Python's manual", "what is praised")
NETWORKS = ("bag of words", "1-D convolution over embeddings")
Data = tuple[list[list[str]], list[int]]


def as_numbers(text: str) -> NDArray[np.float64]:
    """Code letters by their number in the alphabet, 1 and up; ``(L,)``."""
    return np.array([ALPHABET.index(letter) + 1.0 for letter in text])


def one_hot(text: str) -> NDArray[np.float64]:
    """Code each letter by a vector of zeros and a single 1; ``(27, L)``."""
    return np.eye(len(ALPHABET))[[ALPHABET.index(letter) for letter in text]].T


def manual() -> Data:
    """Return sentences of the longest pages of Python's manual, as words, and the number of the page of each."""
    pages = {}
    for name, page in topics.items():
        sentences = (re.findall(r"[a-z]+", each.lower()) for each in re.split(r"(?<=[.:])\s+", page))
        kept = sorted({tuple(words) for words in sentences if len(words) > 5})
        if len(kept) >= ENOUGH:
            pages[name] = kept
    longest = sorted(pages, key=lambda name: (-len(pages[name]), name))[:4]
    texts = [(list(words), label) for label, name in enumerate(longest) for words in pages[name]]
    return [words for words, _ in texts], [label for _, label in texts]


def praise(count: int = 600) -> Data:
    """Generate sentences that praise by one of two words and deny the other; the bag of both is the same."""
    random = np.random.default_rng(0)
    texts, labels = [], []
    for _ in range(count):
        first = int(random.integers(0, 2))
        pair = 2 * int(random.integers(0, len(PAIRS) // 2))
        praised, denied = PAIRS[pair + first], PAIRS[pair + 1 - first]
        filler = list(random.choice(["it", "is", "really", "quite", "this", "one"], 4))
        texts.append([*filler, praised, "not", denied])
        labels.append(first)
    return texts, labels


class Reader(nn.Module):
    """Classify sentences ``(N, L)`` of numbered words, 0 for none, by the mean embedding or by windows of three."""

    def __init__(self, words: int, classes: int, ordered: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, 32, padding_idx=0)
        self.window = nn.Conv1d(32, 32, 3, padding=1) if ordered else None
        self.head = nn.Linear(32, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits ``(N, classes)``."""
        vectors = self.embedding(x).transpose(1, 2)  # (N, 32, L)
        if self.window is None:
            present = (x > 0).sum(1, keepdim=True).clamp_min(1)
            return torch.as_tensor(self.head(vectors.sum(2) / present))
        return torch.as_tensor(self.head(self.window(vectors).relu().amax(2)))


def accuracy(data: Data, kind: str, seed: int, epochs: int) -> float:
    """Train on four fifths of the sentences, and return the share of the others that are right."""
    texts, labels = data
    known = {word: number for number, word in enumerate(sorted({word for words in texts for word in words}), start=1)}
    x = torch.zeros((len(texts), LONGEST), dtype=torch.int64)
    for row, words in zip(x, texts, strict=True):
        numbers = [known[word] for word in words[:LONGEST]]
        row[: len(numbers)] = torch.tensor(numbers)
    y = torch.tensor(labels)
    torch.manual_seed(seed)
    order = torch.randperm(len(y))
    test, train = order[: len(y) // 5], order[len(y) // 5 :]
    reader = Reader(len(known) + 1, max(labels) + 1, kind != NETWORKS[0])
    optimiser = torch.optim.AdamW(reader.parameters(), 0.01, weight_decay=0.1)
    for _ in range(epochs):
        for batch in train[torch.randperm(len(train))].split(32):
            optimiser.zero_grad()
            F.cross_entropy(reader(x[batch]), y[batch]).backward()
            optimiser.step()
    with torch.no_grad():
        return float((reader(x[test]).argmax(1) == y[test]).double().mean())


def run(quick: bool) -> dict[str, Any]:
    """Compare codes of letters, and train both readers on both data sets."""
    likeness = {
        words: {
            "numbers": float(score_map(as_numbers(text), as_numbers("cat"), "ccorr_normed").scores.max()),
            "one-hot": float((one_hot(text) * one_hot("cat")).sum() / 3),
        }
        for words, text in QUESTIONS.items()
    }
    seeds, epochs = (1, 6) if quick else (3, 12)
    sets = dict(zip(DATA, (manual(), praise()), strict=True))
    found = {
        name: {kind: [accuracy(data, kind, seed, epochs) for seed in range(seeds)] for kind in NETWORKS}
        for name, data in sets.items()
    }
    classes = {name: max(np.bincount(labels)) / len(labels) for name, (_, labels) in sets.items()}
    sentences = {name: len(labels) for name, (_, labels) in sets.items()}
    return {"likeness": likeness, "found": found, "largest_class": classes, "sentences": sentences}


def table(figures: dict[str, Any]) -> Table:
    """Make the table: similarity to "cat" by code of the letters."""
    rows = [
        [f"{QUESTIONS[words]}, {words}", *(f"{value:.3f}" for value in each.values())]
        for words, each in figures["likeness"].items()
    ]
    return Table(["cosine with cat", "letters as numbers", "letters one-hot"], rows)


def accuracies(figures: dict[str, Any]) -> Table:
    """Make the table: accuracy of both readers, mean over seeds with the lowest and highest."""
    rows = [
        [
            f"{name}, {figures['sentences'][name]:,} sentences",
            percent(figures["largest_class"][name]),
            *(f"{percent(float(np.mean(of)))} ({percent(min(of))} to {percent(max(of))})" for of in each.values()),
        ]
        for name, each in figures["found"].items()
    ]
    return Table(["data", "the most frequent answer", *NETWORKS], rows)


def draw(figures: dict[str, Any], path: Path) -> Path:
    """Draw where "cat" is found in a sentence by either code, and the one-hot letters as a picture."""
    figure, axes = panels(3, 1, 4.6)
    plane = one_hot(SENTENCE)
    by_number = score_map(as_numbers(SENTENCE), as_numbers("cat"), "ccorr_normed").scores
    by_letter = np.array([(plane[:, i : i + 3] * one_hot("cat")).sum() / 3 for i in range(len(SENTENCE) - 2)])
    for each, scores, words in ((axes[0], by_number, "as numbers"), (axes[1], by_letter, "one-hot")):
        each.bar(np.arange(scores.size), scores, color=BLUE)
        each.set_xticks(range(len(SENTENCE)), list(SENTENCE))
        each.set_title(f"cosine with cat, letters {words}", fontsize=10)
        each.set_ylim(0, 1.05)
        each.set_xlim(-0.6, len(SENTENCE) - 0.4)
    axes[2].imshow(plane, cmap="gray_r", aspect="auto", interpolation="nearest")
    axes[2].set_title("the sentence one-hot, a row for each letter", fontsize=10)
    return save(figure, path)
