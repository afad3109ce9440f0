"""The same file is the same picture by every route, and so is the same picture in another file."""

import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.service.pictures.icc_profiles import ADOBE_RGB, write_profile


def saved(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def tiff(samples, **options):
    stream = io.BytesIO()
    tifffile.imwrite(stream, samples, photometric="rgb", **options)
    return stream.getvalue()


@pytest.fixture(scope="module")
def files(photograph):
    image = Image.fromarray(photograph)
    wide = photograph.astype(np.uint16) * 257
    return {
        "png": saved(image, "PNG"),
        "bmp": saved(image, "BMP"),
        "webp": saved(image, "WEBP", lossless=True),
        "tiff": tiff(photograph),
        "tiff16": tiff(wide),
        "tiff16planar": tiff(np.moveaxis(wide, -1, 0), planarconfig="separate", byteorder=">", compression="zlib"),
        "float": tiff((photograph / 255).astype(np.float32), tile=(64, 64)),
        "jpeg": saved(image, "JPEG", quality=90),
        "profile": saved(image, "JPEG", quality=90, icc_profile=write_profile(ADOBE_RGB)),
        "avif": saved(image, "AVIF", quality=90),
        "cmyk": saved(image.convert("CMYK"), "JPEG"),
    }


def logits(client, data):
    raw = struct.pack("<I", len(data)) + data
    header = b'{"inputs":[{"name":"image","shape":[1],"datatype":"BYTES","parameters":{"binary_data_size":%d}}]}' % len(
        raw
    )
    answer = client.post(
        "/v2/models/shapes-scs/infer",
        content=header + raw,
        headers={"Inference-Header-Content-Length": str(len(header))},
    )
    return np.array(answer.json()["outputs"][0]["data"])


def probabilities(classes):
    return {each["label"]: each["probability"] for each in classes}


def test_a_file_is_the_same_picture_by_every_route(client, files):
    for name, data in files.items():
        predicted = client.post("/predict", content=data).json()["predictions"][0]
        partial = client.post("/predict?partial=true", content=data).json()["predictions"][0]
        seen = client.post("/activations?resize=card&layers=stem&channels=top1", content=data).json()
        scores = np.exp(logits(client, data))

        assert predicted == partial, name
        assert probabilities(predicted["classes"]) == pytest.approx(probabilities(seen["classes"]), abs=1e-5), name
        best = max(probabilities(predicted["classes"]).values())
        assert best == pytest.approx(float(scores.max() / scores.sum()), abs=1e-5), name


def test_a_picture_is_the_same_in_every_lossless_file(client, files):
    expected = logits(client, files["png"])
    for name in ("bmp", "webp", "tiff", "tiff16", "tiff16planar", "float"):
        assert np.array_equal(logits(client, files[name]), expected), name


def test_a_scene_of_any_file_is_matched(client, files):
    template = files["png"]
    for name, data in files.items():
        answer = client.post("/match?method=ccoeff_normed", files=[("scene", data), ("template", template)])
        assert answer.status_code == 200, (name, answer.text)
        assert answer.json()["matches"][0]["score"] > 0.95, name
