"""Draw docs/pictures/imported.png: EfficientNet-Lite0, imported by name, on a photograph; its layers and class maps.

Needs scs-serve[train,models].

    python docs/imported.py
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from skimage import data

from models.imports.importing import import_network
from models.imports.sources import open_source
from models.imports.wish import Wish
from models.runtime.load import load_model

PICTURE = Path(__file__).parent / "pictures" / "imported.png"
SIDE = 224
CLASSES = 2


def middle_of_a_cat():
    """Return the middle of scikit-image's photograph ``chelsea`` as the network takes it: ``(1, 224, 224, 3)``."""
    cat = Image.fromarray(data.chelsea())
    scale = 256 / min(cat.size)
    cat = cat.resize((round(cat.width * scale), round(cat.height * scale)), Image.Resampling.BICUBIC)
    left, top = (cat.width - SIDE) // 2, (cat.height - SIDE) // 2
    return np.asarray(cat.crop((left, top, left + SIDE, top + SIDE)))[None]


def main():
    found = import_network(open_source("efficientnet-lite0"), Wish(), "efficientnet-lite0", 1)
    model, cat, labels = load_model(found.content, found.card, "cpu"), middle_of_a_cat(), found.card.labels
    names = [layer.name for layer in found.card.layers]
    shown = [names[round(place * (len(names) - 2))] for place in (0.1, 0.4, 0.7)]
    maps = model.layers(cat, [*shown, "class_map"])
    logits = model.logits(cat)[0].astype(np.float64)
    probabilities = np.exp(logits - logits.max())
    probabilities /= probabilities.sum()
    best = probabilities.argsort()[::-1]
    fields = {layer.name: layer.receptive_field for layer in found.card.layers}
    panels = [("the picture", None, False)]
    panels += [(f"{name}: units see {fields[name].size} px", np.abs(maps[name][0]).mean(0), False) for name in shown]
    panels += [
        (f"{labels[number]}: {probabilities[number]:.0%}", maps["class_map"][0, number], True)
        for number in best[:CLASSES]
    ]
    figure, axes = plt.subplots(1, len(panels), figsize=(13, 2.5), layout="constrained")
    for axis, (title, heat, is_signed) in zip(axes, panels, strict=True):
        axis.imshow(cat[0])
        if heat is not None:
            most = np.abs(heat).max()
            colours = {"cmap": "RdBu_r", "vmin": -most, "vmax": most} if is_signed else {"cmap": "inferno"}
            axis.imshow(heat, extent=(0, SIDE, SIDE, 0), alpha=0.65, interpolation="bilinear", **colours)
        axis.set_title(title, fontsize=9)
        axis.axis("off")
    figure.savefig(PICTURE, dpi=75, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    main()
