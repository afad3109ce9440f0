"""Draw docs/pictures/small-things.jpg: small things in large pictures, and where a taught model sees them.

Needs scs-serve[train,models].

    python docs/small_things.py
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from models.imports.importing import import_network
from models.imports.sources import open_source
from models.imports.wish import Wish
from models.teaching.fit import fit
from models.teaching.network import open_network
from models.teaching.taught import Taught

sys.path.insert(0, str(Path(__file__).parent.parent / "bench"))
from small_things import ASKED, PHOTOGRAPHS, SIDE, TAUGHT, drawn

PICTURE = Path(__file__).parent / "pictures" / "small-things.jpg"
SHOWN = "cat", "rocket", "coins", "coffee"
SMALL = 96  # pixels


def main():
    found = import_network(open_source("efficientnet-lite0"), Wish(), "efficientnet-lite0", 1)
    network = open_network(found.card, found.content, "blocks.13", "maximum")
    pictures, asked = drawn(0)
    labels, names = np.repeat(np.arange(len(PHOTOGRAPHS)), TAUGHT), tuple(map(str, range(len(pictures))))
    head = fit(Taught(network.views(pictures), labels, PHOTOGRAPHS, names, names)).head
    scenes = np.stack([asked[SMALL][PHOTOGRAPHS.index(name) * ASKED] for name in SHOWN])
    views = network.views(scenes)
    side = round(views.shape[1] ** 0.5)
    figure, axes = plt.subplots(1, 2 * len(SHOWN), figsize=(13, 1.9), layout="constrained")
    for name, scene, places, pair in zip(SHOWN, scenes, views, axes.reshape(-1, 2), strict=True):
        of_places = head.scores(places[:, None])
        label = int(of_places.max(0).argmax())
        heat = of_places[:, label].reshape(side, side)
        for axis, title in zip(pair, (name, f"{PHOTOGRAPHS[label]}: {heat.max():.2f}"), strict=True):
            axis.imshow(scene)
            axis.set_title(title, fontsize=9)
            axis.axis("off")
        most = np.abs(heat).max()
        extent = (0, SIDE, SIDE, 0)
        pair[1].imshow(heat, extent=extent, alpha=0.65, interpolation="bilinear", cmap="RdBu_r", vmin=-most, vmax=most)
    figure.savefig(PICTURE, dpi=80, pil_kwargs={"quality": 85})


if __name__ == "__main__":
    main()
