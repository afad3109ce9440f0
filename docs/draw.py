"""Draw the pictures of the documentation: ``python docs/draw.py`` writes them into ``docs/pictures/``.

The photograph is Stefan van der Walt's cat Chelsea (CC0), from scikit-image; the heatmaps are the product's own.
"""

import subprocess
import sys
from pathlib import Path

import skimage.data
from PIL import Image

PICTURES = Path(__file__).parent / "pictures"


def draw_cat() -> Path:
    """A photograph of 1024x768."""
    cat = Image.fromarray(skimage.data.chelsea()).crop((20, 0, 420, 300))
    path = PICTURES / "cat.jpg"
    cat.resize((1024, 768), Image.Resampling.LANCZOS).save(path, quality=85, optimize=True)
    return path


def draw_heatmaps(photograph: Path) -> None:
    """What every layer of the default model sees in it."""
    out = PICTURES / "heatmaps.png"
    options = ["--class", "cat", "--channels", "top3", "--out", str(out)]
    subprocess.run([sys.executable, "-m", "service.cli", "activations", str(photograph), *options], check=True)
    Image.open(out).quantize(256).save(out, optimize=True)  # a third of the size, and looks the same


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    draw_heatmaps(draw_cat())
