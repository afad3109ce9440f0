"""How a taught model names things that are small in a picture: by the mean of a class's map, and by its maximum.

    python bench/small_things.py --repository models     # efficientnet-lite0, as `scs import` brings it

Ten classes are cuttings from photographs of scikit-image, turned by up to 30 degrees, eight of each, which fill their
pictures. Asked are others of them, pasted anywhere on brick, gravel or grass of 224x224 pixels, 64 to 224 on a side.
Accuracies are without "none of these", over draws. Then eight of the classes are taught, and things of all ten asked:
how many are named rightly, how many of the eight are "none of these", and how many of the two others are given a class.
Writes bench/results/small-things.json.
"""

import argparse
import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import skimage.data
from intervals import with_interval
from PIL import Image

from models.cards.catalogue import find
from models.teaching.fit import fit
from models.teaching.network import open_network
from models.teaching.taught import Taught

RESULTS = Path(__file__).parent / "results" / "small-things.json"
PHOTOGRAPHS = "astronaut", "camera", "cat", "coffee", "coins", "moon", "page", "rocket", "retina", "hubble_deep_field"
GROUNDS = "brick", "gravel", "grass"
SIDE = 224
SIDES = 64, 96, 128, 160, SIDE
LAYERS = "blocks.8", "blocks.13", "bn1"  # of EfficientNet-Lite0; the last is where nothing is said
TAUGHT, ASKED, DRAWS = 8, 8, 5  # pictures of each class
UNKNOWN = 2  # classes that are not taught where "none of these" is measured
FALSE_ALARMS = None, 0.05  # as --false-alarms has them


def photograph(name):
    return Image.fromarray(getattr(skimage.data, name)()).convert("RGB")


def cutting(whole, side, random):
    """A fifth to two fifths of a photograph's side, from its middle, turned a little."""
    turned = whole.rotate(float(random.uniform(-30, 30)), Image.Resampling.BICUBIC)
    length = random.uniform(0.2, 0.4) * min(whole.size)
    x, y = (random.uniform(0.25 * each, 0.75 * each - length) for each in whole.size)
    return turned.resize((side, side), Image.Resampling.BILINEAR, (x, y, x + length, y + length))


def scene(whole, side, grounds, random):
    """A cutting somewhere on a ground."""
    ground = grounds[random.integers(len(grounds))]
    left, top = (int(random.integers(0, each - SIDE + 1)) for each in ground.size)
    picture = ground.crop((left, top, left + SIDE, top + SIDE))
    picture.paste(cutting(whole, side, random), tuple(random.integers(0, SIDE - side + 1, 2).tolist()))
    return np.asarray(picture)


def drawn(seed):
    """Pictures to teach, and pictures to ask by the side of what is in them; as many of each class, class by class."""
    random = np.random.default_rng(seed)
    photographs, grounds = ([photograph(name) for name in names] for names in (PHOTOGRAPHS, GROUNDS))
    taught = np.stack([np.asarray(cutting(each, SIDE, random)) for each in photographs for _ in range(TAUGHT)])
    asked = {
        side: np.stack([scene(each, side, grounds, random) for each in photographs for _ in range(ASKED)])
        for side in SIDES
    }
    return taught, asked


def taught_by(views):
    """What `scs teach` is given: as many views of each class, class by class."""
    classes, names = len(views) // TAUGHT, tuple(map(str, range(len(views))))
    return Taught(views, np.repeat(np.arange(classes), TAUGHT), PHOTOGRAPHS[:classes], names, names)


def accuracies(taught, asked):
    """The share of pictures that get their class, by side."""
    head, right = fit(taught_by(taught)).head, np.repeat(np.arange(len(PHOTOGRAPHS)), ASKED)
    return {side: float((head.scores(views).argmax(1) == right).mean()) for side, views in asked.items()}


def with_others(taught, asked, most_false_alarms):
    """Shares of the first classes' pictures that are right and missed, and of the others' that are given a class."""
    known = len(PHOTOGRAPHS) - UNKNOWN
    head = fit(taught_by(taught[: known * TAUGHT]), most_false_alarms).head
    right = np.repeat(np.arange(known), ASKED)
    found = {}
    for side, views in asked.items():
        named = head.logits(views).argmax(1)
        own, others = named[: len(right)], named[len(right) :]
        shares = (own == right).mean(), (own == known).mean(), (others < known).mean()
        found[side] = dict(zip(("right", "missed", "false alarms"), map(float, shares), strict=True))
    return found


def mean_of(draws, side, kind):
    return round(sum(draw[side][kind] for draw in draws) / len(draws), 4)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repository", type=Path, required=True, help="folder of models with efficientnet-lite0")
    options = parser.parse_args()
    entry = find(options.repository, "efficientnet-lite0")
    networks = {
        f"{layer}, {pooling}": open_network(entry.card(), entry.verified_bytes(), layer, pooling)
        for layer in LAYERS
        for pooling in ("mean", "maximum")
    }
    found = {way: {side: [] for side in SIDES} for way in networks}
    rejected = {f"{way}, {most}": [] for way in networks for most in FALSE_ALARMS}
    for seed in range(DRAWS):
        pictures, scenes = drawn(seed)
        for way, network in networks.items():
            taught, asked = network.views(pictures), {side: network.views(images) for side, images in scenes.items()}
            for side, share in accuracies(taught, asked).items():
                found[way][side].append(share)
            for most in FALSE_ALARMS:
                rejected[f"{way}, {most}"].append(with_others(taught, asked, most))
            print(seed, way, {side: values[-1] for side, values in found[way].items()}, flush=True)
    rows = {way: {side: with_interval(values) for side, values in sides.items()} for way, sides in found.items()}
    means = {
        way: {side: {kind: mean_of(draws, side, kind) for kind in draws[0][side]} for side in SIDES}
        for way, draws in rejected.items()
    }
    about = {"network": f"efficientnet-lite0 {entry.version}", "taught": TAUGHT, "asked": ASKED, "draws": DRAWS}
    versions = {package: version(package) for package in ("scikit-image", "numpy", "onnxruntime")}
    RESULTS.write_text(
        json.dumps({**about, "versions": versions, "accuracies": rows, "with others": means}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
