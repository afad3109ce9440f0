"""What ImageMagick and libvips make of picture files: two decoders that know nothing of this project."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

Pixels = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]

MOGRIFY = shutil.which("mogrify-im6.q16") or shutil.which("mogrify-im7.q16") or shutil.which("mogrify")
VIPS = shutil.which("vips")
MISSING = [name for name, found in (("imagemagick", MOGRIFY), ("libvips-tools", VIPS)) if not found]


def by_imagemagick(files: Mapping[str, bytes], folder: Path) -> dict[str, Pixels]:
    """Decode files, by their names, to RGB over white; leave out what cannot be read."""
    sources, into = _written(files, folder / "magick")
    options = ["-format", "png", "-depth", "8", "-define", "png:color-type=6", "-path", str(into)]
    command = [str(MOGRIFY), *options, *(f"{source}[0]" for source in sources)]
    subprocess.run(command, capture_output=True, check=False, timeout=250)
    return _read(files, into)


def by_libvips(files: Mapping[str, bytes], folder: Path) -> dict[str, Pixels]:
    """Decode files, by their names, to RGB over white; leave out what cannot be read."""
    sources, into = _written(files, folder / "vips")
    for source in sources:
        command = [str(VIPS), "colourspace", str(source), str(into / f"{source.stem}.png"), "srgb"]
        subprocess.run(command, capture_output=True, check=False, timeout=60)
    return _read(files, into)


def _written(files: Mapping[str, bytes], folder: Path) -> tuple[list[Path], Path]:
    into = folder / "decoded"
    into.mkdir(parents=True)
    sources = [folder / f"{number}{Path(name).suffix}" for number, name in enumerate(files)]
    for source, content in zip(sources, files.values(), strict=True):
        source.write_bytes(content)
    return sources, into


def _read(files: Mapping[str, bytes], folder: Path) -> dict[str, Pixels]:
    found = {}
    for number, name in enumerate(files):
        with suppress(OSError):  # it was not decoded, or to something that is no picture
            image = Image.open(folder / f"{number}.png").convert("RGBA")
            white = Image.new("RGBA", image.size, "white")
            found[name] = np.asarray(Image.alpha_composite(white, image).convert("RGB"))
    return found
