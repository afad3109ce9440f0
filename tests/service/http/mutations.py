"""Sends mutated pictures to ``/predict`` in a process of its own and prints what came of it, as JSON.

python tests/service/http/mutations.py COUNT SEED
"""

import io
import json
import resource
import sys
import warnings
from collections import Counter

import numpy as np
from fastapi.testclient import TestClient
from PIL import Image

from service.app import create_app
from service.settings import Settings

LIES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
MAX_PIXELS = 4_000_000


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def as_npy(array, version=(1, 0)):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version=version)
    return buffer.getvalue()


def seeds():
    """Small pictures of every format that is read, in the kinds of pixels that decoders have paths of their own for."""
    random = np.random.default_rng(0)
    pixels = (np.add.outer(np.arange(40), np.arange(48))[..., None] * (2, 1, 3) % 256).astype(np.uint8)
    pixels[8:20, 10:30] = random.integers(0, 256, (12, 20, 3))
    colour = Image.fromarray(pixels)
    grey, palette, cutout = colour.convert("L"), colour.convert("P"), colour.copy()
    cutout.putalpha(128)
    deep = Image.fromarray(pixels[..., 0].astype(np.uint16) * 200)
    exif = Image.Exif()
    exif[0x0112] = 6
    return {
        "JPEG": encoded(colour, "JPEG", exif=exif),
        "progressive JPEG": encoded(colour, "JPEG", progressive=True, optimize=True),
        "grey JPEG": encoded(grey, "JPEG"),
        "CMYK JPEG": encoded(colour.convert("CMYK"), "JPEG"),
        "PNG": encoded(colour, "PNG", exif=exif),
        "palette PNG": encoded(palette, "PNG", transparency=3),
        "transparent PNG": encoded(cutout, "PNG"),
        "16-bit PNG": encoded(deep, "PNG"),
        "animated PNG": encoded(colour, "PNG", save_all=True, append_images=[cutout.convert("RGB")]),
        "WebP": encoded(colour, "WEBP"),
        "lossless WebP": encoded(cutout, "WEBP", lossless=True, exif=exif),
        "animated WebP": encoded(colour, "WEBP", save_all=True, append_images=[colour.rotate(90)]),
        "GIF": encoded(palette, "GIF"),
        "animated GIF": encoded(palette, "GIF", save_all=True, append_images=[grey], loop=0),
        "BMP": encoded(colour, "BMP"),
        "palette BMP": encoded(palette, "BMP"),
        "one-bit BMP": encoded(colour.convert("1"), "BMP"),
        "TIFF": encoded(colour, "TIFF"),
        "LZW TIFF": encoded(colour, "TIFF", compression="tiff_lzw"),
        "deflated TIFF": encoded(cutout, "TIFF", compression="tiff_adobe_deflate"),
        "JPEG TIFF": encoded(colour, "TIFF", compression="jpeg"),
        "fax TIFF": encoded(colour.convert("1"), "TIFF", compression="group4"),
        "float TIFF": encoded(Image.fromarray(pixels[..., 0].astype(np.float32)), "TIFF"),
        "16-bit TIFF": encoded(deep, "TIFF", exif=exif),
        "npy": as_npy(pixels),
        "grey npy": as_npy(pixels[..., 0]),
        "npy of several": as_npy(np.stack([pixels, pixels])),
        "npy in Fortran's order": as_npy(np.asfortranarray(pixels)),
        "npy of version 2": as_npy(pixels, (2, 0)),
        "npy of version 3": as_npy(pixels, (3, 0)),
        "npy of floats": as_npy(pixels.astype(np.float64)),
        "npy of objects": as_npy(pixels[..., 0].astype("S4")),
    }


def mutate(data, others, random):
    """One to three of the things that happen to files, or that people do to them."""
    body = bytearray(data)
    for _ in range(random.integers(1, 4)):
        size = max(1, len(body))
        at, length = int(random.integers(size)), int(random.integers(1, 33))
        match random.integers(8):
            case 0:  # bits flip
                for place in random.integers(0, size, random.integers(1, 9)):
                    body[place % size : place % size + 1] = bytes([random.integers(256)])
            case 1:  # bits flip where the sizes and types stand
                for place in [at % min(64, size)] if body else []:
                    body[place] ^= 1 << int(random.integers(8))
            case 2:  # the end is missing
                del body[at:]
            case 3:  # a piece is missing
                del body[at : at + length]
            case 4:  # a piece comes twice
                body[at:at] = body[at : at + 8 * length]
            case 5:  # a number lies
                lie = int(LIES[random.integers(len(LIES))])
                width, order = int(random.choice([1, 2, 4])), random.choice(["big", "little"])
                place = at if random.integers(2) else at % min(128, size)
                body[place : place + width] = (lie % 256**width).to_bytes(width, order)
            case 6:  # a piece of another picture
                other = others[random.integers(len(others))]
                start = int(random.integers(len(other)))
                body[at : at + length] = other[start : start + 4 * length]
            case 7:  # noise
                body[at : at + length] = random.bytes(length)
    return bytes(body)


def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(count, seed):
    warnings.simplefilter("ignore")  # Pillow's, of what it finds odd
    random = np.random.default_rng(seed)
    pictures = list(seeds().values())
    settings = Settings(device="cpu", max_pixels=MAX_PIXELS, max_analysed_pixels=2**18, default_model="mnist-conv")
    statuses, wrong = Counter(), []
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        for picture in pictures:
            client.post("/predict", content=picture)
        before = peak_mib()
        for number in range(count):
            body = mutate(pictures[number % len(pictures)], pictures, random)
            answer = client.post("/predict", content=body, params={"resize": ("card", "none", "40")[number % 3]})
            statuses[answer.status_code] += 1
            if answer.status_code not in (200, 400, 413, 415, 422) or not answer.json():
                wrong.append([number, answer.status_code, answer.text[:200]])
    grown = round(peak_mib() - before, 1)
    print(json.dumps({"statuses": statuses, "wrong": wrong[:20], "before_mib": round(before, 1), "grown_mib": grown}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
