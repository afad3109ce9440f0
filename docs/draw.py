"""Draw the pictures of the documentation: ``python docs/draw.py`` writes them into ``docs/pictures/``.

The photograph is Stefan van der Walt's cat Chelsea (CC0), from scikit-image; the heatmaps are the product's own.
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

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
    with TemporaryDirectory() as folder:
        sheet = Path(folder) / "heatmaps.png"
        options = ["--class", "cat", "--out", str(sheet)]
        subprocess.run([sys.executable, "-m", "service.cli", "activations", str(photograph), *options], check=True)
        Image.open(sheet).save(PICTURES / "heatmaps.jpg", quality=85, optimize=True)  # a quarter of the size


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    draw_heatmaps(draw_cat())
