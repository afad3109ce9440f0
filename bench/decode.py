"""How long it takes from an image's bytes to 32x32 pixels: service.images (Pillow) against OpenCV.

Prints a table and writes bench/results/decode.json. Needs opencv-python-headless, scikit-image.

    python bench/decode.py
"""

import io
import json
import platform
import statistics
import time
from pathlib import Path

import cv2
import numpy as np
import PIL
from PIL import Image
from skimage import data

from service.pictures.decode import decode_image

RESULTS = Path(__file__).parent / "results" / "decode.json"
TARGET = (32, 32)
SECONDS = 4.0  # for each case, both sides together
WARM_UP = 3


def encode(picture, image_format, **options):
    stream = io.BytesIO()
    picture.save(stream, image_format, **options)
    return stream.getvalue()


def product(body, scale_to):
    return decode_image(body, channels=3, max_pixels=50_000_000, scale_to=scale_to).pixels


def opencv(body, scale_to, flag=cv2.IMREAD_COLOR_RGB):
    pixels = cv2.imdecode(np.frombuffer(body, np.uint8), flag)
    return pixels if scale_to is None else cv2.resize(pixels, scale_to, interpolation=cv2.INTER_AREA)


def opencv_reduced(body, scale_to):
    """The nearest that OpenCV has to Pillow's draft: an eighth of the size, which the caller must know to be enough."""
    return opencv(body, scale_to, cv2.IMREAD_REDUCED_COLOR_8)


def cases():
    astronaut = Image.fromarray(data.astronaut())
    small = encode(astronaut.resize((32, 32)), "PNG")
    medium = encode(astronaut.resize((256, 256)), "PNG")
    mosaic = Image.fromarray(np.tile(data.astronaut(), (6, 8, 1)))  # 4096x3072, as full of detail as a photograph
    photograph = encode(mosaic, "JPEG", quality=90)
    return [
        ("32x32 PNG", small, TARGET, opencv),
        ("256x256 PNG to 32x32", medium, TARGET, opencv),
        ("12-megapixel JPEG to 32x32", photograph, TARGET, opencv),
        ("12-megapixel JPEG to 32x32, OpenCV told to reduce", photograph, TARGET, opencv_reduced),
        ("12-megapixel JPEG, all of it", photograph, None, opencv),
    ]


def interleaved(ours, theirs):
    """Milliseconds of each, taken in turns so that a busy moment falls on both."""
    times = [], []
    end = time.perf_counter() + SECONDS
    for turn in range(1_000_000):
        for function, kept in zip((ours, theirs), times, strict=True):
            start = time.perf_counter()
            function()
            if turn >= WARM_UP:
                kept.append(1000 * (time.perf_counter() - start))
        if time.perf_counter() > end and len(times[0]) > 5:
            return times


def summary(times):
    quarter, half, three_quarters = statistics.quantiles(times, n=4)
    return {"median_ms": round(half, 4), "quartiles_ms": [round(quarter, 4), round(three_quarters, 4)], "n": len(times)}


def measure(name, body, scale_to, peer):
    times = interleaved(lambda: product(body, scale_to), lambda: peer(body, scale_to))
    ours, theirs = map(summary, times)
    ratio = round(theirs["median_ms"] / ours["median_ms"], 2)
    print(f"{name:<52}{show(ours):>28}{show(theirs):>28}{ratio:>9.2f}", flush=True)
    return {"case": name, "service.images": ours, "opencv": theirs, "opencv_over_service.images": ratio}


def show(side):
    low, high = side["quartiles_ms"]
    return f"{side['median_ms']:.3f} ({low:.3f}-{high:.3f})"


def accepts_half_a_jpeg(decode):
    body = encode(Image.fromarray(data.astronaut()), "JPEG")
    try:
        return decode(body[: len(body) // 2], None) is not None
    except ValueError:
        return False


def main():
    print(f"{'median (quartiles), ms':<52}{'service.images':>28}{'OpenCV':>28}{'ratio':>9}")
    results = [measure(*case) for case in cases()]
    half = {"service.images": accepts_half_a_jpeg(product), "opencv": accepts_half_a_jpeg(opencv)}
    print("half a JPEG is taken for a picture:", half)
    versions = {"python": platform.python_version(), "pillow": PIL.__version__, "opencv": cv2.__version__}
    report = {
        "versions": versions,
        "opencv_threads": cv2.getNumThreads(),
        "cases": results,
        "accepts_half_a_jpeg": half,
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
