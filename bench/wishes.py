"""Is the feature visualization of a class a template for that class?

For each of the ten classes of CIFAR-10 and both bundled networks, `scs visualize` draws a picture. Its middle is slid
over 500 test pictures, 50 of each class, and the best place is the picture's score: as it is, over a pyramid of
sizes, by circular harmonics at any turn, and made fractal. The area under the ROC curve of 50 pictures with the thing
against 450 without says whether the scores tell them apart: 0.5 is chance.

Beside them stand a training picture of the class and the mean of them as templates, the same picture in the network's
own maps, and the network's answer itself.

Prints a table and writes bench/results/wishes.json.

    python bench/wishes.py --data FOLDER
"""

import argparse
import json
import statistics
from pathlib import Path

import numpy as np

from lab.feature_visualization import visualize
from lab.kernels.discs import centred_norms, disc_weights
from lab.kernels.fractal import fractal
from lab.kernels.harmonic import harmonic_scores
from lab.kernels.pyramid import pyramid_scores
from models.cards.catalogue import bundled_repository, find
from models.datasets.dataset import load_dataset
from models.onnx.as_torch import TorchGraph
from models.runtime.load import load_model
from scs.matching.scores import score_map

RESULTS = Path(__file__).parent / "results" / "wishes.json"
NETWORKS = "cifar10-scs", "cifar10-conv"
EACH = 50  # pictures of each class
SIZE, SIDE = 32, 24  # of what is drawn, and of its middle, which has 9x9 places in a picture
SCALES = 0.6, 0.75, 1.0, 1.25
ORDERS = tuple(range(9))
FRACTAL = {"depth": 2, "copies": 6, "ratio": 0.4, "twist": 0.0}
LAYER, LAYER_SIDE = "block4", 6  # the last maps, 8x8, and the template's middle in them
PHOTOGRAPHS = 5  # training pictures of each class as templates
RESAMPLES = 400
SHARES = np.linspace(0, 1, 51)  # of false alarms, at which the ROC curve is kept


def cosine(scene, template):
    return score_map(scene, template).scores


def of_disc(scene, kernel):
    """The centred cosine of a kernel, which has no mean and norm 1 over its disc, with every disc."""
    weights = disc_weights(*kernel.shape[:2])
    scene = scene.astype(np.float64)
    norms = centred_norms(scene, weights)
    products = score_map(scene, kernel, "ccorr").scores
    return np.divide(products, norms, out=np.zeros_like(norms), where=norms > 0)


def kernels(template):
    """Each kernel as a function from a picture to its best score."""
    ground, made = fractal(template, depth=0), fractal(template, **FRACTAL)
    return {
        "plain": lambda scene: cosine(scene, template).max(),
        "pyramid": lambda scene: pyramid_scores(scene, template, SCALES, cosine).scores.max(),
        "harmonic": lambda scene: harmonic_scores(scene, template, ORDERS).scores.max(),
        "disc": lambda scene: of_disc(scene, ground).max(),
        "fractal": lambda scene: of_disc(scene, made).max(),
    }


def middle(picture, side):
    top, left = ((length - side) // 2 for length in picture.shape[:2])
    return picture[top : top + side, left : left + side]


def area(positive, negative):
    """Chance that a picture with the thing scores more than one without, ties counting half."""
    apart = np.sign(positive[:, None] - negative)
    return float((apart + 1).mean() / 2)


def curve(positive, negative):
    """Share of the pictures with the thing that score above thresholds at which SHARES of those without do."""
    thresholds = np.quantile(negative, 1 - SHARES)
    return (positive[:, None] >= thresholds).mean(0)


def judged(scores, labels):
    """Of scores (classes, pictures): the area of every class, their mean with its interval, and the mean curve."""
    random = np.random.default_rng(0)
    parts = [(row[labels == number], row[labels != number]) for number, row in enumerate(scores)]
    areas = [area(*part) for part in parts]
    drawn = [
        statistics.mean(area(*(random.choice(side, side.size) for side in part)) for part in parts)
        for _ in range(RESAMPLES)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    mean = np.mean([curve(*part) for part in parts], 0)
    return {
        "auc": round(statistics.mean(areas), 4),
        "interval_95": [round(low, 4), round(high, 4)],
        "roc": [round(float(share), 4) for share in mean],
    }


def scores_of(templates, pictures):
    """For each kernel, scores (classes, pictures)."""
    found = {}
    for template in templates:
        for name, score in kernels(template).items():
            found.setdefault(name, []).append([float(score(picture)) for picture in pictures])
    return {name: np.array(rows) for name, rows in found.items()}


def measure(name, pictures, labels):
    entry = find(bundled_repository(), name)
    content, card = entry.verified_bytes(), entry.card()
    classes = range(len(card.labels))
    wishes = [wish.picture for wish in visualize(TorchGraph(content), card.class_map, classes, size=SIZE)]
    found = scores_of([middle(wish, SIDE) for wish in wishes], pictures)
    model = load_model(content, card, "cpu")
    maps = model.layers(np.concatenate([np.stack(wishes), pictures]), [LAYER])
    planes = np.ascontiguousarray(maps[LAYER].transpose(0, 2, 3, 1))
    templates, seen = [middle(one, LAYER_SIDE) for one in planes[: len(wishes)]], planes[len(wishes) :]
    found["in its last maps"] = np.array([[cosine(one, t.copy()).max() for one in seen] for t in templates])
    found["its own answer"] = maps["logits"][len(wishes) :].T
    return {kernel: judged(rows, labels) for kernel, rows in found.items()}


def photographs(dataset, pictures, labels):
    """Training pictures as templates, one at a time and all of a class together."""
    of_class = [dataset.train_images[dataset.train_labels == number] for number in range(len(dataset.classes))]
    single = [
        np.array([[cosine(one, middle(own[turn], SIDE)).max() for one in pictures] for own in of_class])
        for turn in range(PHOTOGRAPHS)
    ]
    each = [judged(rows, labels) for rows in single]
    mean = [middle(own.mean(0), SIDE) for own in of_class]
    together = np.array([[cosine(one.astype(np.float64), template).max() for one in pictures] for template in mean])
    return {
        "one training picture": {
            "auc": round(statistics.mean(one["auc"] for one in each), 4),
            "interval_95": [min(one["auc"] for one in each), max(one["auc"] for one in each)],
        },
        "mean of 5,000": judged(together, labels),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with cifar10.npz; SCS_DATA unless given")
    options = parser.parse_args()
    dataset = load_dataset("cifar10", options.data)
    chosen = np.concatenate([np.flatnonzero(dataset.test_labels == number)[:EACH] for number in range(10)])
    pictures, labels = dataset.test_images[chosen], dataset.test_labels[chosen]
    results = {
        "pictures": len(pictures),
        "of_each_class": EACH,
        "shares": SHARES.round(2).tolist(),
        "photographs": photographs(dataset, pictures, labels),
        "networks": {name: measure(name, pictures, labels) for name in NETWORKS},
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    for name, found in {"photographs": results["photographs"], **results["networks"]}.items():
        for kernel, one in found.items():
            low, high = one["interval_95"]
            print(f"{name:14} {kernel:22} {one['auc']:.3f} ({low:.3f} to {high:.3f})")


if __name__ == "__main__":
    main()
