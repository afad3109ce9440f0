"""The head of `scs teach` beside a nearest class mean and logistic regressions, on the same features of a network.

    python bench/teach.py --repository models --data DATA     # efficientnet-lite0, as `scs import` brings it

Features are means of the network's last maps. Each way is taught 1, 5, 20 and 100 pictures a class, in ten draws, and
asked others: the digits of scikit-learn; cuttings from photographs of scikit-image, turned, scaled and lit anew; and
CIFAR-10, where DATA/cifar10.npz is. Accuracies are without "none of these". What the head states of that is compared
with what comes of two classes that it was not taught. Writes bench/results/teach.json. Needs scikit-learn.
"""

import argparse
import io
import json
import statistics
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import skimage.data
from intervals import with_interval
from PIL import Image, ImageEnhance
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler

from models.cards.catalogue import find
from models.datasets.dataset import data_folder, load_dataset
from models.teaching.fit import fit
from models.teaching.network import open_network
from models.teaching.taught import Taught
from service.cli.own_data import decoder
from service.settings import read_settings

RESULTS = Path(__file__).parent / "results" / "teach.json"
SHOTS = 1, 5, 20, 100
REJECTED = 5, 20  # shots at which "none of these" is measured
DRAWS = 10
PHOTOGRAPHS = "astronaut", "camera", "cat", "coffee", "coins", "moon", "page", "rocket", "brick", "grass"
CUTTINGS = 140  # of each photograph


def cifar10(data):
    """So many pictures of each class that draws have none in common, and 200 to ask."""
    found = load_dataset("cifar10", data)
    random = np.random.default_rng(0)

    def some(labels, count):
        return np.concatenate([random.permutation(np.flatnonzero(labels == c))[:count] for c in range(10)])

    train, test = some(found.train_labels, DRAWS * SHOTS[-1]), some(found.test_labels, 200)
    images = np.concatenate([found.train_images[train], found.test_images[test]])
    labels = np.concatenate([found.train_labels[train], found.test_labels[test]])
    numbers = np.arange(len(train)).reshape(10, DRAWS, SHOTS[-1])  # class, draw, picture
    asked = np.arange(len(train), len(labels))
    return images, labels, [(numbers[:, draw], asked) for draw in range(DRAWS)]


def redrawn(labels):
    """Draws from all pictures; those that no number of shots takes are asked."""
    draws = []
    for draw in range(DRAWS):
        random = np.random.default_rng(draw)
        order = [random.permutation(np.flatnonzero(labels == c)) for c in np.unique(labels)]
        draws.append((np.stack([own[: SHOTS[-1]] for own in order]), np.concatenate([o[SHOTS[-1] :] for o in order])))
    return draws


def digits():
    found = load_digits()
    images = np.rint(found.images * 255 / 16).astype(np.uint8)[..., None]
    return images, found.target, redrawn(found.target)


def photographs():
    """Cuttings of 8 to 25% of a photograph's side, turned by any angle, lighter or darker; larger ones are easy."""
    random, images = np.random.default_rng(0), []
    for name in PHOTOGRAPHS:
        whole = Image.fromarray(getattr(skimage.data, name)()).convert("RGB")
        for _ in range(CUTTINGS):
            turned = whole.rotate(float(random.uniform(-180, 180)), Image.Resampling.BICUBIC)
            side = random.uniform(0.08, 0.25) * min(whole.size)
            x, y = (random.uniform(0.2 * length, 0.8 * length - side) for length in whole.size)
            cut = turned.resize((224, 224), Image.Resampling.BILINEAR, (x, y, x + side, y + side))
            images.append(np.asarray(ImageEnhance.Brightness(cut).enhance(random.uniform(0.4, 1.6))))
    labels = np.repeat(np.arange(len(PHOTOGRAPHS)), CUTTINGS)
    return np.stack(images), labels, redrawn(labels)


def features_of(network, images, kept):
    """Features of pictures, which are read from a file where they were kept."""
    if kept and kept.exists():
        return np.load(kept)
    decode = decoder(read_settings())
    found = []
    for start in range(0, len(images), 64):
        decoded = []
        for image in images[start : start + 64]:
            file = io.BytesIO()
            np.save(file, image)
            decoded.append(decode(file.getvalue(), network.card.input).pixels)
        found.append(network.views(np.stack(decoded))[:, 0])
        print(f"{start + len(decoded)} of {len(images)} pictures", end="\r", flush=True)
    features = np.concatenate(found)
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(kept, features)
    return features


def taught(features, labels):
    classes, numbers = np.unique(labels, return_inverse=True)
    names = tuple(str(i) for i in range(len(labels)))
    return Taught(features[:, None], numbers.astype(np.int64), tuple(map(str, classes)), names, names)


def nearest_mean(x, y):
    return make_pipeline(Normalizer(), NearestCentroid()).fit(x, y).predict


def logistic_of_unit_length(x, y):
    return make_pipeline(Normalizer(), LogisticRegression(C=100, max_iter=1000)).fit(x, y).predict


def logistic_of_standardised(x, y):
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000)).fit(x, y).predict


def scs_head(x, y):
    head, classes = fit(taught(x, y)).head, np.unique(y)
    return lambda asked: classes[head.scores(asked[:, None]).argmax(1)]


WAYS = {
    "nearest mean": nearest_mean,
    "logistic, unit length": logistic_of_unit_length,
    "logistic, standardised": logistic_of_standardised,
    "scs": scs_head,
}


def compared(features, labels, draws, shots):
    """Accuracies of all ways, and what SCS has more than the better logistic regression."""
    found, seconds = {way: [] for way in WAYS}, {way: [] for way in WAYS}
    for numbers, asked in draws:
        train = numbers[:, :shots].ravel()
        for way, teach in WAYS.items():
            started = time.process_time()
            predict = teach(features[train], labels[train])
            seconds[way].append(time.process_time() - started)
            found[way].append(float((predict(features[asked]) == labels[asked]).mean()))
    rivals = [way for way in WAYS if way.startswith("logistic")]
    best = max(rivals, key=lambda way: statistics.mean(found[way]))
    less = [ours - theirs for ours, theirs in zip(found["scs"], found[best], strict=True)]
    return {
        "accuracies": {way: with_interval(values) for way, values in found.items()},
        "best_logistic": best,
        "scs_less_best_logistic": with_interval(less),
        "seconds": {way: round(statistics.median(values), 3) for way, values in seconds.items()},
    }


def rejected(features, labels, draws, shots):
    """What the head states of other things and misses, and what came of two classes that it was not taught."""
    rows = {key: [] for key in ("stated false alarms", "false alarms", "stated misses", "misses")}
    classes = np.unique(labels)
    for draw, (numbers, asked) in enumerate(draws):
        unknown = [classes[(draw + i) % len(classes)] for i in (0, 5)]
        train = numbers[~np.isin(classes, unknown), :shots].ravel()
        fitted = fit(taught(features[train], labels[train]))
        best = fitted.head.scores(features[asked][:, None]).max(1)
        is_other = np.isin(labels[asked], unknown)
        counted = fitted.rejection
        rows["stated false alarms"].append(counted.false_alarms.share)
        rows["false alarms"].append(float((best[is_other] >= fitted.head.threshold).mean()))
        rows["stated misses"].append(counted.misses.share)
        rows["misses"].append(float((best[~is_other] < fitted.head.threshold).mean()))
    return {key: with_interval(values) for key, values in rows.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repository", type=Path, required=True, help="folder of models with the network")
    parser.add_argument("--network", default="efficientnet-lite0")
    parser.add_argument("--data", type=Path, help="folder with cifar10.npz; SCS_DATA unless given")
    parser.add_argument("--features", type=Path, help="folder to keep features in; making them takes most of the time")
    parser.add_argument("--only", choices=("digits", "photographs", "cifar10"), help="the others keep their results")
    options = parser.parse_args()
    entry = find(options.repository, options.network)
    network = open_network(entry.card(), entry.verified_bytes(), None)
    sets = {"digits": digits, "photographs": photographs}
    folder = data_folder(options.data)
    if folder and (folder / "cifar10.npz").exists():
        sets["cifar10"] = lambda: cifar10(folder)
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name, load in sets.items():
        if options.only not in (None, name):
            continue
        images, labels, draws = load()
        kept = options.features and options.features / f"{options.network}-{name}.npy"
        features = features_of(network, images, kept)
        rows = {}
        for shots in SHOTS:
            rows[shots] = compared(features, labels, draws, shots)
            if shots in REJECTED:
                rows[shots]["none of these"] = rejected(features, labels, draws, shots)
            print(name, shots, json.dumps(rows[shots]), flush=True)
        versions = {package: version(package) for package in ("scikit-learn", "numpy", "onnxruntime")}
        network_name = f"{options.network} {entry.version}"
        results[name] = {"network": network_name, "versions": versions, "draws": DRAWS, "shots": rows}
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
